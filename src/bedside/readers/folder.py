"""Reader of a folder of classes: ``<class>/…``, also with parts of a split and masks around it.

BUSI's layout is one: ``X (1)_mask.png`` is a lesion mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bedside.readers import beside, layouts
from bedside.readers.base import Listing, no_class_names
from bedside.readers.files import walk


def read(source: Path, class_names: Sequence[str] = (), *, layout: layouts.Layout = "auto"
         ) -> Listing:
    """List a class-per-folder data set; folders below a class folder belong to its class.

    Raises:
        BadInput: no image, names or pixels that allow two readings (``layout`` decides), a table
            that names the images and gives other labels, an image that is a link out of the
            folder or no regular file, a name that a table cannot hold.
    """
    no_class_names(class_names, source)
    tree = walk(source.resolve())
    reading = layouts.understand(tree, layout)
    notes = reading.notes
    if layout != "classes":
        notes = (*notes, *beside.compare(tree, reading.cases, reading.pairing))
    return Listing(tree.root, reading.cases, reading.aside, notes)
