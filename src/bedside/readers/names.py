"""The words by which data sets name parts of a split, masks, images and a system's own files."""

from __future__ import annotations

import re
import unicodedata

from bedside.core.types import Split

_PARTS: dict[str, Split] = {
    **dict.fromkeys(("train", "training", "trn", "trainset"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "valset", "dev", "devel",
                     "development", "devset", "tuning"), "val"),
    **dict.fromkeys(("test", "testing", "tst", "testset", "holdout"), "test"),
}
_MASKS = frozenset({
    "mask", "masks", "gt", "gts", "groundtruth", "groundtruths", "label", "labels", "labelmap",
    "labelmaps", "seg", "segs", "segmentation", "segmentations", "annotation", "annotations",
    "annot", "contour", "contours", "roi", "rois", "outline", "outlines", "delineation",
    "delineations"})
# A mask of this name lies beside its image: case001.png, case001_tumor.png, case001_other1.png.
_COMPANIONS = _MASKS | {"tumor", "tumour", "lesion", "lesions", "nodule", "other", "superpixels",
                        "instrument"}
_IMAGES = frozenset({
    "image", "images", "img", "imgs", "original", "originals", "orig", "raw", "picture",
    "pictures", "photo", "photos", "frame", "frames", "input", "inputs", "jpg", "jpeg", "png",
    "bmp", "tif", "tiff"})
# They say nothing beside another word: training_set, image data, folder_1.
_FILLERS = frozenset({"set", "data", "dataset", "split", "folder", "dir", "subset", "the", "and",
                      "of", "ground", "truth", "binary", "all"})
# Folders and files that operating systems, NAS boxes and editors write beside the images.
_JUNK = frozenset({
    "@eadir", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "__macosx", "__pycache__",
    "$recycle.bin", "system volume information", "lost+found", "recycler", "found.000",
    "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "syno@.fileindexdb",
    "network trash folder", "temporary items"})

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")


def nfc(text: str) -> str:
    """Return a name in Unicode's composed form; macOS disks give the decomposed one."""
    return unicodedata.normalize("NFC", text)


def folded(text: str) -> str:
    """Return a name as compared without letter case, Unicode form or outer spaces."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold()).strip()


def words(name: str) -> list[str]:
    """Return the words of a name in lower case: ``TrainingSet_01`` is training, set, 01."""
    return [w.lower() for w in _WORD.findall(nfc(name))]


def part_of(name: str, loose: bool = False) -> Split | None:
    """Return the part of a split that a folder or a cell names, None where it names none.

    Args:
        name: ``train``, ``Training_Set``, ``valid``, ``dev``, ``test images``, ….
        loose: whether further words may stand beside it (``ISIC-2017_Training_Data``).
    """
    found = words(name)
    parts = {_PARTS[w] for w in found if w in _PARTS}
    rest = [w for w in found if w not in _PARTS and w not in _FILLERS and w not in _IMAGES]
    if len(parts) != 1 or (rest and not loose):
        return None
    return next(iter(parts))


def is_mask_folder(name: str) -> bool:
    """Return whether a folder is named as one of masks (``GT``, ``Ground Truth``, ``labels``)."""
    found = words(name)
    truth = "ground" in found and "truth" in found
    rest = [w for w in found if w not in _MASKS and w not in _FILLERS and w not in _IMAGES
            and w != "lesion" and w not in _PARTS]
    return (truth or any(w in _MASKS for w in found)) and not rest


def is_image_folder(name: str) -> bool:
    """Return whether a folder is named as one of images and nothing else (``images``, ``raw``)."""
    found = words(name)
    return any(w in _IMAGES for w in found) and all(w in _IMAGES or w in _FILLERS
                                                    or w.isdigit() for w in found)


_PERSON = re.compile(r"^(patient|subject|case|person|pat|pid|sub)[-_ ]?\d+$", re.IGNORECASE)


def is_person(name: str) -> bool:
    """Return whether a folder is named as one patient's (``patient00012``)."""
    return bool(_PERSON.match(name))


def is_junk(name: str) -> bool:
    """Return whether a system wrote this file or folder beside the images (``@eaDir``)."""
    return folded(name) in _JUNK


_COMPANION = re.compile(r"^(?P<stem>.+?)[ _\-.]+(?P<word>[^\W\d_]+)[ _\-.]?\d*$")
_LEADING = re.compile(r"^(?P<word>[^\W\d_]+)[ _\-.]+(?P<stem>.+)$")


def companion_of(stem: str) -> str | None:
    """Return the image's stem that a mask's stem names: ``case001_tumor`` gives ``case001``."""
    found = _COMPANION.match(stem)
    while found and folded(found["word"]) in _COMPANIONS:
        stem = found["stem"]
        found = _COMPANION.match(stem)
        if not (found and folded(found["word"]) in _COMPANIONS):
            return stem
    return None


def bare_stem(stem: str) -> str:
    """Return a stem without its words for mask or image, folded: ``mask_0001-l`` is ``0001-l``."""
    stem = companion_of(stem) or stem
    found = _LEADING.match(stem)
    if found and folded(found["word"]) in _COMPANIONS | _IMAGES:
        stem = found["stem"]
    found = _COMPANION.match(stem)
    if found and folded(found["word"]) in _IMAGES:
        stem = found["stem"]
    return folded(stem)


def tail(stem: str) -> str:
    """Return a stem without its first word: ``bus_0001-l`` and ``mask_0001-l`` are ``0001-l``."""
    found = _LEADING.match(stem)
    return folded(found["stem"] if found else stem)
