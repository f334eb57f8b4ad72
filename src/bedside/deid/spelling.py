"""Find the file that a table means by a name: separators, letter case, accents, frames."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_FRAME = re.compile(r"^frame-[0-9]{4,5}$")


def without_frame(file: str) -> str:
    """Return the file of a frame's name (``cine.dcm/frame-0012``), or the name itself."""
    head, _, tail = file.rpartition("/")
    return head if head and _FRAME.match(tail) else file


class Spelled:
    """Finds a file by the name that a table gives it: other separators, letter case, accents."""

    def __init__(self, files: Iterable[str]) -> None:
        self._files = set(files)
        self._loose: dict[str, str | None] = {}
        for file in self._files:
            key_ = loosely(file)
            # Two files that differ in case alone are told apart by their exact names only.
            self._loose[key_] = None if key_ in self._loose else file

    def found(self, file: str) -> str:
        """Return the file's own name, or the given one where no single file answers to it."""
        for name in (file, without_frame(file)):
            if name in self._files:
                return file
            own = self._loose.get(loosely(name))
            if own is not None:
                return own + file[len(name):]
        return file

    def there(self, file: str) -> bool:
        """Return whether the folder holds a file of that name."""
        return self.found(file) in self._files or without_frame(self.found(file)) in self._files


def loosely(file: str) -> str:
    """Return a name without its letter case, composed as NFC."""
    return unicodedata.normalize("NFC", file).casefold()
