"""Find the file, or the frame of a film, that a table means by a name."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bedside.readers.files import FileIndex

_FRAME = re.compile(r"^frame-[0-9]{4,5}$")


def without_frame(file: str) -> str:
    """Return the file of a frame's name (``cine.dcm/frame-0012``), or the name itself."""
    head, _, tail = file.rpartition("/")
    return head if head and _FRAME.match(tail) else file


class Spelled:
    """Finds a file by the name that a table gives it: letter case, accents, frames."""

    def __init__(self, files: Iterable[str]) -> None:
        self._index = FileIndex(files)
        self._files = frozenset(self._index.files)

    def found(self, file: str) -> str:
        """Return the file's own name, or the given one where no single file answers to it."""
        for name in (file, without_frame(file)):
            if name in self._files:
                return file
            # Two files that differ in case alone are told apart by their exact names only.
            own = self._index.same(name)
            if own is not None:
                return own + file[len(name):]
        return file

    def there(self, file: str) -> bool:
        """Return whether the folder holds a file of that name."""
        return without_frame(self.found(file)) in self._files or self.found(file) in self._files
