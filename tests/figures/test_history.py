"""Figure 6: the training history."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from analyse_fixture import figure_data

from bedside.core.errors import BadInput
from bedside.figures import (
    history,
)


def test_history_of_a_model_trained_elsewhere_is_not_available(run: Path) -> None:
    assert "trained elsewhere" in figure_data(run, "history", "foreign").facts["unavailable"]


@pytest.mark.parametrize(("auroc", "loss", "best"), [
    ([0.8, 1.0, 1.0, 0.9], [0.5, 0.4, 0.3, 0.1], 2),  # of equal AUCs the lower loss
    ([np.nan, np.nan, np.nan], [0.5, 0.2, 0.3], 1),  # no AUC: the loss decides
    ([0.7, 0.7], [0.3, 0.3], 0)])
def test_the_best_epoch_of_figure_6_is_the_one_that_training_kept(auroc, loss, best) -> None:
    assert history.best_row(np.array(auroc), np.array(loss)) == best


def test_history_reads_known_columns_and_names_the_bad_cell(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("epoch,train_loss,extra\n1,0.5,x\n2,,y\n")
    found = history.read_history(path)
    assert found["train_loss"][0] == 0.5 and np.isnan(found["train_loss"][1])
    assert np.isnan(found["val_auroc"]).all()
    path.write_text("epoch,train_loss\n1,half\n")
    with pytest.raises(BadInput, match="half"):
        history.read_history(path)
