"""Ids, UIDs and pseudonyms derived from a key by HMAC.

De-identification writes them with the key that the user holds; the DICOM reader writes them into
``cases.csv`` with a salt of the imported folder. Without the key nobody can go back, or try
patient numbers until one fits.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field

MAX_SHIFT_DAYS = 3650


def patient_identity(patient_id: str, issuer: str = "") -> str:
    """Return a patient's id with its issuer, written as HL7 does (CX: ``id^^^authority``); an id
    without an issuer stands for itself."""
    patient_id, issuer = patient_id.strip(), issuer.strip()
    return f"{patient_id}^^^{issuer}" if patient_id and issuer else patient_id


@dataclass(frozen=True, slots=True)
class Key:
    """Keyed names (HMAC-SHA256, RFC 2104); each kind of name has a space of its own."""

    secret: bytes = field(repr=False)

    def digest(self, kind: str, text: str) -> bytes:
        """Return 32 bytes for ``text`` among names of this kind."""
        return hmac.new(self.secret, f"{kind}\0{text}".encode("utf-8", "surrogatepass"),
                        hashlib.sha256).digest()

    def name(self, kind: str, text: str) -> str:
        """Return 16 letters and digits in lower case (80 bits)."""
        return base64.b32encode(self.digest(kind, text)[:10]).decode().lower()

    def pseudonym(self, kind: str, text: str) -> str:
        """Return the initial of ``kind`` and 80 bits as 16 letters and digits, in upper case."""
        return (kind[0] + self.name(kind, text)).upper()

    def patient(self, identity: str) -> str:
        """Return the pseudonym of a patient, the same in files, ledgers, tables and runs."""
        return self.pseudonym("patient", identity.strip())

    def uid(self, uid: str) -> str:
        """Return a UID's replacement: 2.25 and 128 bits (PS3.5 B.2), at most 44 characters."""
        return f"2.25.{int.from_bytes(self.digest('uid', uid.strip())[:16], 'big')}"

    def shift_days(self, identity: str) -> int:
        """Return the number of days that a patient's dates are shifted back, 1 to 3650."""
        number = int.from_bytes(self.digest("shift", identity.strip())[:8], "big")
        return 1 + number % MAX_SHIFT_DAYS
