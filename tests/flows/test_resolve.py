"""How a data set is read, from flags and from study.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.study import Study
from bedside.flows.resolve import Flags, resolve


def test_columns_layout_and_near_duplicates(tmp_path: Path) -> None:
    data = resolve(None, Flags(
        dataset=tmp_path, columns=("label=dx, patient=lesion_id", "file=image_id+.jpg"),
        layout="classes", near_duplicates="strict")).data
    assert data.columns == {"label": "dx", "patient": "lesion_id", "file": "image_id+.jpg"}
    assert (data.layout, data.near_duplicates) == ("classes", "strict")


def test_the_study_file_holds_them_and_flags_win(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text('[data]\nsource = "x"\nlayout = "parts"\nnear_duplicates = "exact"\n'
                    '[data.columns]\nlabel = "class, final"\nfile = "id"\n'
                    '[[models]]\nname = "resnet34"\n')
    data = resolve(file, Flags()).data
    assert data.columns == {"label": "class, final", "file": "id"}
    assert (data.layout, data.near_duplicates) == ("parts", "exact")
    data = resolve(file, Flags(columns=("label=dx",), layout="auto")).data
    assert (data.columns, data.layout, data.near_duplicates) == ({"label": "dx"}, "auto", "exact")
    # What a run stores reads again.
    stored = codec.to_toml(resolve(file, Flags()))
    file.write_text(stored)
    assert codec.read_toml(Study, file).data.columns["label"] == "class, final"


@pytest.mark.parametrize(("flags", "message"), [
    ({"columns": ("label",)}, "--columns: 'label' is not ROLE=COLUMN"),
    ({"columns": ("label=a,label=b",)}, "'label' is given twice"),
    ({"columns": ("label=",)}, "is not ROLE=COLUMN"),
    ({"layout": "class"}, "--layout: 'class' is not allowed. Did you mean 'classes'"),
    ({"near_duplicates": "no"}, "--near-duplicates: 'no' is not allowed"),
])
def test_bad_flags(tmp_path: Path, flags: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        resolve(None, Flags(dataset=tmp_path, **flags))  # type: ignore[arg-type]


@pytest.mark.parametrize("flags", [{"input_range": "-1,1"}, {"colour": "bgr"}, {"resize": "fit"}])
def test_what_describes_a_float_model_is_not_dropped_beside_a_given_file(tmp_path, flags):
    with pytest.raises(BadInput, match="given without --float-model"):
        resolve(None, Flags(dataset=tmp_path, quantized_model=tmp_path / "q.tflite", **flags))


def test_a_given_file_alone_takes_its_classes_and_preprocessing(tmp_path):
    found = resolve(None, Flags(
        dataset=tmp_path, quantized_model=tmp_path / "q.tflite", model_classes="b,a",
        preprocess=tmp_path / "p.toml")).quantized_model
    assert found.classes == ("b", "a")
    assert found.preprocess == str(tmp_path / "p.toml")
