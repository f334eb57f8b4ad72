"""The look at a data set: what is proposed reads the data set, and what is unclear is asked."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from data_fixture import folder, npz, save, texture
from layout_fixture import brest, bus_bra, chexpert, ham, images, udiat

from bedside.cli import app
from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.flows.inspect_data import inspect_data, lines
from bedside.flows.resolve import Flags, resolve
from bedside.stages.data import stage

PROPOSED: dict[Callable[[Path], Path], dict[str, str]] = {
    ham: {"file": "image_id+.jpg", "label": "dx", "patient": "lesion_id", "age": "age",
          "sex": "sex"},
    bus_bra: {"file": "ID+.png", "label": "Pathology", "patient": "Case", "device": "Device"},
    brest: {"file": "Image_filename", "label": "Classification", "patient": "CaseID", "age": "Age",
            "mask": "Mask_tumor_filename"},
    chexpert: {"file": "Path", "patient": "Path/3", "split": "Path/2", "age": "Age", "sex": "Sex"},
}


@pytest.mark.parametrize("make", PROPOSED, ids=lambda f: f.__name__)
def test_the_command_that_is_proposed_reads_the_data_set(
        tmp_path: Path, make: Callable[[Path], Path]) -> None:
    source = make(tmp_path / "a set")
    look = inspect_data(source)
    assert look.tables[0].columns == PROPOSED[make]
    words = shlex.split(look.command)
    assert words[:3] == ["bedside", "run", str(source)] and words[3] == "--columns"
    study = resolve(None, Flags(dataset=source, columns=(words[4],)), tmp_path / "run")
    listing, _ = stage.read(tmp_path / "run", study)
    assert len(listing.cases) >= 8 and len({c.label for c in listing.cases}) >= 2
    if make is chexpert:
        assert look.tables[0].multi_label and "Pneumonia" in look.tables[0].candidates
        assert any("multi-label" in q for q in look.questions)
    else:
        assert look.classes == look.tables[0].labels


def test_a_folder_of_classes(tmp_path: Path) -> None:
    for part in ("train", "test"):
        folder(tmp_path / part, {"benign": 3, "malignant": 2})
    look = inspect_data(tmp_path)
    assert (look.kind, look.images, look.classes, look.split, look.questions) == (
        "folder", 10, {"benign": 6, "malignant": 4}, {"train": 5, "test": 5}, ())
    assert look.command == f"bedside run {tmp_path}" and look.pixels == ("8-bit grey: 10 of 10",)


def test_images_and_masks_without_labels(tmp_path: Path) -> None:
    look = inspect_data(udiat(tmp_path))
    assert (look.images, look.masks, look.command) == (8, 8, "")
    assert any("--layout classes" in q for q in look.questions)


def test_a_table_and_a_manifest_and_an_array(tmp_path: Path) -> None:
    source = bus_bra(tmp_path / "bra")
    assert inspect_data(source / "bus_data.csv").tables[0].columns == PROPOSED[bus_bra]
    folder(tmp_path / "set/img", {"a": 2, "b": 2})
    (tmp_path / "set/manifest.csv").write_text("file,label,patient\n" + "".join(
        f"img/{c}/{i:03d}.png,{c},P{i}\n" for c in "ab" for i in range(2)))
    look = inspect_data(tmp_path / "set")
    assert (look.kind, look.images, look.patients, look.classes) == (
        "table", 4, 2, {"a": 2, "b": 2})
    look = inspect_data(npz(tmp_path / "x.npz"))
    assert (look.kind, look.images, look.split) == ("npz", 16, {"train": 12, "val": 4})


def test_a_label_that_cannot_be_told_is_asked(tmp_path: Path) -> None:
    images(tmp_path, [f"{i}.png" for i in range(8)])
    (tmp_path / "t.csv").write_text("name,first_reader,second_reader\n" + "".join(
        f"{i},{'xy'[i % 2]},{'xy'[i % 3 == 0]}\n" for i in range(8)))
    look = inspect_data(tmp_path)
    assert look.command == "" and any("Which column of t.csv is the label?" in q
                                      and "first_reader" in q for q in look.questions)


def test_tables_of_parts_are_proposed_together(tmp_path: Path) -> None:
    source = images(tmp_path / "set", [f"images/{i}.png" for i in range(16)])
    for name, rows in (("train", range(10)), ("test", range(10, 16))):
        (source / f"{name}_labels.csv").write_text(
            "image,dx\n" + "".join(f"{i},{'ab'[i % 2]}\n" for i in rows))
    look = inspect_data(source)
    assert "--columns table=test_labels.csv+train_labels.csv,file=image+.png,label=dx" \
        in look.command
    study = resolve(None, Flags(dataset=source, columns=(shlex.split(look.command)[4],)))
    assert sorted(c.split for c in stage.read(tmp_path / "run", study)[0].cases) == (
        ["test"] * 6 + ["train"] * 10)


def test_rows_without_an_image_are_counted(tmp_path: Path) -> None:
    source = ham(tmp_path)
    (source / "HAM10000_images_part_1/ISIC_0000000.jpg").unlink()
    assert any("of 12 rows looked at 1 name no image" in q and "--skip-bad" in q
               for q in inspect_data(source).questions)


def test_it_is_quick_on_many_images(tmp_path: Path) -> None:
    one = save(tmp_path / "one.png", texture(0)).read_bytes()
    rows = []
    for i in range(3000):
        path = tmp_path / f"set/part{i % 7}/p{i:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one)
        rows.append(f"p{i:05d},{'ab'[i % 2]},P{i // 2}")
    (tmp_path / "set/meta.csv").write_text("\n".join(["image,diagnosis,patient", *rows]))
    start = time.perf_counter()
    look = inspect_data(tmp_path / "set")
    assert time.perf_counter() - start < 2.0
    assert look.tables[0].columns == {"file": "image+.png", "label": "diagnosis",
                                      "patient": "patient"}


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file or folder"):
        inspect_data(tmp_path / "nowhere")


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = ham(tmp_path)
    assert app.guarded(["inspect", str(source), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads(codec.to_json(inspect_data(source)))
    assert app.guarded(["inspect", str(source)]) == 0
    out = capsys.readouterr().out
    assert "to run: bedside run" in out and "label from dx" in out
    assert lines(inspect_data(source))[0] in out
