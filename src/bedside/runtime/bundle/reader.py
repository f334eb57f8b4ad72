"""Opening and verifying a bundle: every check passes before any part of it is used."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bedside.core import codec, registry
from bedside.core.errors import BadInput, BedsideError, GateFailed
from bedside.runtime.bundle import canonical_zip, signing
from bedside.runtime.bundle.manifest import (
    KIND,
    NOTICE,
    OLDER,
    ONCE,
    SCHEMA,
    Change,
    Familiarity,
    Manifest,
    Reference,
)

MANIFEST, DIGEST, SEAL = "manifest.json", "manifest.sha256", "manifest.sig"
MAX_MANIFEST = 1 << 20
REMEDY = "Get the bundle from its source again."
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that passed every check.

    ``digest`` is the SHA-256 of ``manifest.json``; ``id`` its first 16 digits. ``signer`` is the
    fingerprint of the trusted key, or None where the bundle is unsigned.
    """

    where: str
    manifest: Manifest
    files: dict[str, memoryview]
    digest: str
    signer: str | None
    size_bytes: int

    @property
    def id(self) -> str:
        """The name in the store, the server and the app."""
        return self.digest[:16]

    @property
    def signed(self) -> str:
        """The signature in one phrase, for people."""
        return f"signed by {self.signer}" if self.signer else "UNSIGNED: anyone may have made it"

    def named(self, role: str) -> list[str]:
        """Return the files of a role, sorted."""
        return [n for n, f in self.manifest.files.items() if f.role == role]

    def read(self, cls: type[T], role: str) -> T | None:
        """Return the JSON file of a role that occurs at most once; None without it."""
        names = self.named(role)
        return _json(cls, self.files[names[0]], f"{self.where}: {names[0]}") if names else None

    @property
    def reference(self) -> Reference:
        """The reference vectors of the self-test."""
        found = self.read(Reference, "reference")
        assert found is not None  # open_bundle refuses a bundle without it
        return found

    @property
    def familiarity(self) -> Familiarity | None:
        """The statistics of the training data, where the bundle has them."""
        return self.read(Familiarity, "familiarity")


def refuse(fault: str, where: str) -> GateFailed:
    """Return the error of a bundle that must not be used (exit code 1)."""
    return GateFailed(fault, where=where, remedy=REMEDY)


def read_bytes(path: Path) -> bytes:
    """Read the whole file once, so that what is verified is what is used.

    Raises:
        BadInput: no such file, or not readable.
        GateFailed: too large to be a bundle.
    """
    try:
        if path.stat().st_size > canonical_zip.MAX_BYTES:
            raise refuse(f"larger than {canonical_zip.MAX_BYTES >> 20} MiB", str(path))
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror})", where=path,
                       remedy="Give a bundle (bedside bundle makes one).") from None


def open_bundle(source: Path | bytes, trusted: Collection[bytes], *, allow_unsigned: bool = False,
                where: str | None = None) -> Bundle:
    """Verify a bundle.

    Args:
        source: the file, or its bytes.
        trusted: public keys (32 bytes each) that may sign.
        allow_unsigned: whether a bundle without signature passes (it then says so everywhere).
        where: what to call it in a message.

    Raises:
        BadInput: the file cannot be read.
        GateFailed: any check failed; nothing of it may be used.
    """
    place = where or (str(source) if isinstance(source, Path) else "bundle")
    data = read_bytes(source) if isinstance(source, Path) else source
    entries = canonical_zip.read(data, place)
    names = list(entries)
    head = [n for n in (MANIFEST, DIGEST, SEAL) if n in entries]
    if head[:2] != [MANIFEST, DIGEST] or names != [*head, *sorted(names[len(head):])]:
        raise refuse("manifest.json or manifest.sha256 is missing, or files are out of order",
                     place)
    if len(entries[MANIFEST]) > MAX_MANIFEST:
        raise refuse("manifest.json is too large", place)
    manifest_bytes = bytes(entries[MANIFEST])
    digest = hashlib.sha256(manifest_bytes).hexdigest()
    if not hmac.compare_digest(bytes(entries[DIGEST]), digest.encode()):
        raise refuse("manifest.json differs from its SHA-256", place)
    signer = _signer(entries.get(SEAL), manifest_bytes, trusted, allow_unsigned, place)
    manifest = _json(Manifest, manifest_bytes, f"{place}: {MANIFEST}")
    files = {n: entries[n] for n in names[len(head):]}
    _check_files(manifest, files, place)
    _check_meaning(manifest, place)
    bundle = Bundle(place, manifest, files, digest, signer, len(data))
    _check_parts(bundle)
    return bundle


def _signer(seal: memoryview | None, message: bytes, trusted: Collection[bytes],
            allow_unsigned: bool, place: str) -> str | None:
    if seal is None:
        if not allow_unsigned:
            raise GateFailed("unsigned, and a signature is required", where=place,
                             remedy="Sign it: bedside bundle … --key bedside.key.")
        return None
    public = signing.verified(bytes(seal), message)
    if public is None:
        raise refuse("the signature does not fit the manifest", place)
    if public not in trusted:
        raise GateFailed(f"signed by {signing.fingerprint(public)}, a key that is not trusted here",
                         where=place, remedy="Get the signer's bedside.pub from the signer and "
                                             "give it with --trust.")
    return signing.fingerprint(public)


def _json(cls: type[T], data: bytes | memoryview, where: str) -> T:
    try:
        text = bytes(data).decode("utf-8")
        decoded: T = codec.decode(cls, codec.parse_json(text, where))
    except UnicodeDecodeError:
        raise refuse("not UTF-8 text", where) from None
    except BedsideError as error:
        inner = f" at {error.where}" if error.where and error.where != where else ""
        raise refuse(f"{error.fault}{inner}", where) from None
    return decoded


def _check_files(manifest: Manifest, files: dict[str, memoryview], place: str) -> None:
    missing = sorted(set(manifest.files) - set(files))
    extra = sorted(set(files) - set(manifest.files))
    if missing or extra:
        raise refuse(f"{missing[0]} is missing" if missing else
                     f"{extra[0]} is not listed in the manifest", place)
    for name, entry in manifest.files.items():
        if (len(files[name]) != entry.size_bytes
                or hashlib.sha256(files[name]).hexdigest() != entry.sha256):
            raise refuse(f"{name} differs from its SHA-256", place)


def _check_meaning(manifest: Manifest, place: str) -> None:
    if manifest.schema not in (SCHEMA, *OLDER) or manifest.kind != KIND:
        raise GateFailed(f"bundle schema {manifest.schema}; this bedside reads {SCHEMA}",
                         where=place, remedy="Update bedside.")
    task, point, spec = manifest.task, manifest.operating_point, manifest.preprocess
    model = manifest.model
    chosen = manifest.files.get(model.file)
    roles = [f.role for f in manifest.files.values()]
    temperature, threshold = point.temperature, point.threshold
    faults = (
        ("the notice is not the one that must be shown", manifest.notice == NOTICE),
        ("the name is not <variant>@<target>", manifest.name == f"{model.variant}@{model.target}"),
        ("the backend is not one of this bedside", _known(model.backend)),
        ("a class without a name", all(c.strip() for c in task.classes)),
        ("the model's file is not listed as a model", chosen is not None
         and chosen.role == "model"),
        (f"each of {', '.join(ONCE)} is needed once", all(roles.count(r) == 1 for r in ONCE)),
        ("familiarity is listed twice", roles.count("familiarity") <= 1),
        ("fewer than two classes, or one twice", 2 <= len(task.classes) == len(set(task.classes))),
        ("the positive class is not the last of two", task.positive is None
         or (len(task.classes) == 2 and task.classes[-1] == task.positive)),
        ("the threshold does not fit the task",
         (threshold is None) == (task.positive is None)),
        ("the threshold is not between 0 and 1", threshold is None or 0 < threshold < 1),
        ("the temperature is not between 0.001 and 1000", 1e-3 <= temperature <= 1e3),
        ("the band without an answer does not fit the task", _band_fits(manifest)),
        ("the image size is not between 1 and 4096", 1 <= spec.height_px <= 4096
         and 1 <= spec.width_px <= 4096),
        ("channels, mean and std do not fit", spec.channels in (1, 3)
         and _fits(spec.mean, spec.channels) and _fits(spec.std, spec.channels)
         and all(s > 0 for s in spec.std)),
        ("threads is not between 1 and 256", 1 <= model.threads <= 256),
    )
    for fault, fine in faults:
        if not fine:
            raise refuse(fault, f"{place}: {MANIFEST}")


def _band_fits(manifest: Manifest) -> bool:
    """Return whether the band lies around the threshold, or there is a share for other tasks."""
    point = manifest.operating_point
    band = point.abstention
    if band is None or point.threshold is None:
        return band is None or (band.low is None and band.high is None
                                and (band.confidence is None or 0 <= band.confidence <= 1))
    return band.confidence is None and (
        (band.low is None) == (band.high is None)
        and (band.low is None or band.high is None
             or 0 <= band.low <= point.threshold <= band.high <= 1))


def _known(backend: str) -> bool:
    # Read only where needed: a device that runs LiteRT imports no targets.
    return backend == "cpu" or backend in registry.resolve("bedside.targets:BACKENDS")


def _fits(values: tuple[float, ...], channels: int) -> bool:
    return len(values) in (1, channels)


def _check_parts(bundle: Bundle) -> None:
    """Refuse a bundle whose reference or familiarity file does not fit its manifest."""
    manifest, spec = bundle.manifest, bundle.manifest.preprocess
    reference, known = bundle.reference, bundle.familiarity
    bundle.read(Change, "change")
    pixel_bytes = spec.height_px * spec.width_px * spec.channels
    wanted = {v.image for v in reference.vectors} | {v.pixels for v in reference.vectors}
    held = {*bundle.named("reference-image"), *bundle.named("reference-pixels")}
    if not reference.vectors or wanted != held or reference.logit_tolerance <= 0 or any(
            len(v.logits) != len(manifest.task.classes)
            or manifest.files[v.pixels].size_bytes != pixel_bytes for v in reference.vectors):
        raise refuse("the reference vectors do not fit the manifest", bundle.where)
    if known is not None:
        size = len(known.names)
        if (len(known.mean) != size or len(known.precision) != size
                or any(len(row) != size for row in known.precision)):
            raise refuse("the familiarity statistics have inconsistent sizes", bundle.where)


def keys(paths: Iterable[Path]) -> frozenset[bytes]:
    """Return the public keys of ``--trust``."""
    return frozenset(signing.read_public(p) for p in paths)
