"""The token that requests from beyond this machine must carry."""

from __future__ import annotations

import secrets
from pathlib import Path

from bedside.core import codec
from bedside.core.errors import BadInput


def new_token() -> str:
    """Make up a token of 256 random bits."""
    return secrets.token_urlsafe(32)


def read_token(path: Path) -> str:
    """Read the token of ``--token-file``. Raises BadInput where it is short or several words."""
    token = codec.read_text(path).strip()
    if len(token) < 20 or not token.isascii() or any(c.isspace() for c in token):
        raise BadInput("a token is one word of 20 characters at least", where=path,
                       remedy="Make one, as with: openssl rand -hex 32.")
    return token
