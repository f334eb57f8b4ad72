"""Data sets as people have them: folders, names and tables of well-known ones, in small."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
from data_fixture import save, texture


def mask(seed: int = 0, height: int = 40, width: int = 48) -> np.ndarray:
    """A lesion mask: 255 inside an ellipse, 0 outside."""
    y, x = np.mgrid[:height, :width]
    inside = ((y - 20 - seed % 5) / 9) ** 2 + ((x - 24) / 12) ** 2 < 1
    return np.where(inside, 255, 0).astype(np.uint8)


def images(root: Path, names: Sequence[str], seed: int = 0) -> Path:
    """Write an unlike image under each name."""
    for i, name in enumerate(names):
        save(root / name, texture(seed + i))
    return root


def masks(root: Path, names: Sequence[str]) -> Path:
    """Write a mask under each name."""
    for i, name in enumerate(names):
        save(root / name, mask(i))
    return root


def udiat(root: Path, n: int = 8) -> Path:
    """Images and masks in two folders, and no labels."""
    images(root, [f"original/{i:06d}.png" for i in range(n)])
    return masks(root, [f"GT/{i:06d}.png" for i in range(n)])


def bus_bra(root: Path, n: int = 8) -> Path:
    """Two folders, whose files differ in their first word, and a table."""
    ids = [f"{i // 2 + 1:04d}-{'lr'[i % 2]}" for i in range(n)]
    images(root, [f"Images/bus_{i}.png" for i in ids])
    masks(root, [f"Masks/mask_{i}.png" for i in ids])
    rows = [f"bus_{i},{int(i[:4])},Fibroadenoma,{('benign', 'malignant')[k // 2 % 2]},"
            f"{2 + k % 3},GE Logiq 5" for k, i in enumerate(ids)]
    (root / "bus_data.csv").write_text("\n".join(
        ["ID,Case,Histology,Pathology,BIRADS,Device", *rows]) + "\n")
    return root


def ham(root: Path, n: int = 12) -> Path:
    """HAM10000: two numbered folders, names without an ending in a table, lesions as patients."""
    rows = ["lesion_id,image_id,dx,dx_type,age,sex,localization"]
    for i in range(n):
        save(root / f"HAM10000_images_part_{1 + i % 2}/ISIC_{i:07d}.jpg", texture(i))
        rows.append(f"HAM_{i // 2:07d},ISIC_{i:07d},{('nv', 'mel', 'bkl')[i // 2 % 3]},histo,"
                    f"{40 + i}.0,{('male', 'female')[i % 2]},back")
    (root / "HAM10000_metadata.csv").write_text("\n".join(rows) + "\n")
    return root


def chexpert(root: Path, n: int = 12) -> Path:
    """CheXpert: paths with a folder more than there is, many columns of 0, 1 and −1."""
    rows = ["Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Pneumonia,Edema"]
    for i in range(n):
        part, patient = ("train", "valid")[i % 4 == 3], f"patient{i // 2:05d}"
        file = f"{part}/{patient}/study1/view{i % 2 + 1}_frontal.jpg"
        save(root / file, texture(i))
        rows.append(f"CheXpert-v1.0-small/{file},Female,{50 + i},Frontal,AP,{('', '1.0')[i % 2]},"
                    f"{('1.0', '0.0', '-1.0', '')[i // 3]},{('1.0', '')[i % 3 == 0]}")
    (root / "train.csv").write_text("\n".join(rows) + "\n")
    return root


def brest(root: Path, n: int = 8) -> Path:
    """BrEaST: a flat folder, several masks an image, and an Excel workbook."""
    rows: list[list[object]] = [["CaseID", "Image_filename", "Mask_tumor_filename",
                                 "Mask_other_filename", "Pixel_size", "Age", "Classification"]]
    for i in range(1, n + 1):
        images(root, [f"case{i:03d}.png"], i)
        own = [f"case{i:03d}_tumor.png"] + ([f"case{i:03d}_other1.png"] if i == 2 else [])
        masks(root, own)
        rows.append([i, f"case{i:03d}.png", own[0], own[1] if len(own) > 1 else None, 0.007,
                     "not available" if i == 3 else 40 + i, ("benign", "malignant")[i % 2]])
    workbook(root / "BrEaST-clinical-data.xlsx", {"BrEaST": rows})
    return root


def _cell(value: object, place: str) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        kind = ' t="str"' if isinstance(value[1], str) else ""
        return f'<c r="{place}"{kind}><f>{escape(value[0])}</f><v>{value[1]}</v></c>'
    if isinstance(value, int | float):
        return f'<c r="{place}"><v>{value!r}</v></c>'
    return f'<c r="{place}" t="inlineStr"><is><t>{escape(str(value))}</t></is></c>'


def workbook(path: Path, sheets: dict[str, list[list[object]]], doctype: str = "") -> Path:
    """Write a workbook as ECMA-376 has it; a tuple is a formula with its stored value."""
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    head = f'<?xml version="1.0" encoding="UTF-8"?>{doctype}'
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", f'{head}<workbook xmlns="{main}" xmlns:r="{office}">'
                         "<sheets>" + "".join(
                             f'<sheet name="{escape(n)}" sheetId="{i}" r:id="rId{i}"/>'
                             for i, n in enumerate(sheets, 1)) + "</sheets></workbook>")
        archive.writestr("xl/_rels/workbook.xml.rels", f'{head}<Relationships xmlns="{package}">'
                         + "".join(f'<Relationship Id="rId{i}" Type="{office}/worksheet" '
                                   f'Target="worksheets/sheet{i}.xml"/>'
                                   for i in range(1, len(sheets) + 1)) + "</Relationships>")
        for i, rows in enumerate(sheets.values(), 1):
            body = "".join(
                f'<row r="{r}">' + "".join(_cell(v, f"{chr(65 + c)}{r}")
                                           for c, v in enumerate(row)) + "</row>"
                for r, row in enumerate(rows, 1))
            archive.writestr(f"xl/worksheets/sheet{i}.xml",
                             f'{head}<worksheet xmlns="{main}"><sheetData>{body}</sheetData>'
                             "</worksheet>")
    return path
