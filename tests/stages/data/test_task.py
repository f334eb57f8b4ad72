"""Classes of a study: exclusions, merges, the positive class."""

from __future__ import annotations

import pytest

from bedside.core.errors import BadInput
from bedside.core.study import DataConfig
from bedside.stages.data.task import check_counts, resolve

BUSI = ("benign", "malignant", "normal")


def test_the_papers_task() -> None:
    task, becomes = resolve(DataConfig(exclude=("normal",)), BUSI)
    assert task.classes == ("benign", "malignant") and task.positive == "malignant"
    assert becomes == {"benign": "benign", "malignant": "malignant", "normal": None}


def test_breastmnists_task() -> None:
    task, becomes = resolve(DataConfig(merge={"other": ("benign", "normal")}), BUSI)
    assert task.classes == ("other", "malignant") and task.positive == "malignant"
    assert becomes == {"benign": "other", "normal": "other", "malignant": "malignant"}
    assert task.merge == {"other": ("benign", "normal")}


def test_three_classes_have_no_positive_one() -> None:
    task, _ = resolve(DataConfig(), BUSI)
    assert task.classes == BUSI and task.positive is None


@pytest.mark.parametrize(("positive", "classes"), [
    ("benign", ("malignant", "benign")), ("malignant", ("benign", "malignant"))])
def test_the_positive_class_comes_last(positive: str, classes: tuple[str, ...]) -> None:
    task, _ = resolve(DataConfig(positive=positive, exclude=("normal",)), BUSI)
    assert task.classes == classes and task.positive == positive


def test_without_malignant_the_last_is_positive() -> None:
    task, _ = resolve(DataConfig(), ("sick", "healthy"))
    assert task.classes == ("healthy", "sick") and task.positive == "sick"


def test_a_merge_may_keep_a_members_name() -> None:
    task, _ = resolve(DataConfig(merge={"benign": ("benign", "normal")}), BUSI)
    assert task.classes == ("benign", "malignant")


@pytest.mark.parametrize(("config", "message"), [
    (DataConfig(exclude=("norml",)), "--exclude: unknown class 'norml'.*Did you mean 'normal'"),
    (DataConfig(merge={"o": ("bengn", "normal")}), "--merge: unknown class.*'benign'"),
    (DataConfig(positive="malignent", exclude=("normal",)), "Did you mean 'malignant'"),
    (DataConfig(positive="malignant"), "positive class among 3"),
    (DataConfig(positive="normal", exclude=("normal",)), "unknown class 'normal'"),
    (DataConfig(exclude=("normal", "benign")), "only the class 'malignant' is left"),
    (DataConfig(exclude=BUSI), "no class is left"),
    (DataConfig(merge={"all": BUSI}), "only the class 'all'"),
    (DataConfig(merge={"malignant": ("benign", "normal")}), "is a class already"),
    (DataConfig(merge={"a": ("benign",), "b": ("benign", "normal")}), "merged twice"),
    (DataConfig(merge={"a": ("benign", "benign")}), "merged twice"),
    (DataConfig(merge={"a": ("benign",)}, exclude=("benign",)), "merged and excluded"),
    (DataConfig(merge={"a": ()}), "needs a new name"),
])
def test_refused(config: DataConfig, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        resolve(config, BUSI)


def test_one_class() -> None:
    with pytest.raises(BadInput, match=r"only the class 'benign'.*at least two"):
        resolve(DataConfig(), ["benign"] * 5)


def test_a_class_with_one_image() -> None:
    with pytest.raises(BadInput, match=r"'b' has one image.*--exclude b"):
        check_counts({"a": 5, "b": 1}, ("a", "b"), "set")
