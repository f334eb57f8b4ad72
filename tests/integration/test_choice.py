"""From images to a recommendation, a gate and a difference, through the commands alone."""

from __future__ import annotations

import json

import numpy as np
import pytest

from bedside.cli import app

STUDY = """
schemes = ["float32", "float16"]
[data]
source = "{root}/d.npz"
class_names = ["benign", "malignant"]
[evaluate]
rounds = 2
warmup = 0
samples = 2
[budget]
size_bytes = 50_000
"""

WIDTH = 128



def bedside(capsys, *arguments):
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        app.main([str(a) for a in arguments])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return caught.value.code, out, err


def blobs(count, seed):
    """Bright discs in noise (so that no two are near-duplicates); malignant ones are larger."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    rows, columns = np.mgrid[:28, :28]
    y, x = rng.uniform(11, 17, (2, count, 1, 1))
    radius = (6 + 2.5 * labels + rng.normal(0, 0.9, count))[:, None, None]
    disc = (rows - y) ** 2 + (columns - x) ** 2 < radius ** 2
    images = np.clip(rng.normal(70, 30, (count, 28, 28)) + 90 * disc, 1, 255)
    return images.astype(np.uint8), labels[:, None].astype(np.uint8)


def network(file, least, middle):
    """A model from elsewhere: the share of pixels brighter than ``least`` decides.

    ``middle`` lies between both classes. At 0.5 it is good, at 0.6 it sees the brightest noise.
    """
    import torch

    from bedside.core.types import Preprocess
    from bedside.stages.convert import _export

    class Bright(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(1, WIDTH, 3, 1, 1)
            self.middle = torch.nn.Conv2d(WIDTH, WIDTH, 1)
            self.head = torch.nn.Conv2d(WIDTH, 2, 1)
            with torch.no_grad():
                self.conv.weight.fill_(1 / 9)
                self.conv.bias.fill_(-least)
                self.middle.weight.fill_(1 / WIDTH)
                self.middle.bias.zero_()
                self.head.weight.copy_(torch.tensor([[-40.0], [40.0]]).repeat(
                    1, WIDTH)[:, :, None, None] / WIDTH)
                self.head.bias.copy_(torch.tensor([middle, -middle]))

        def forward(self, image):
            x = torch.relu(self.conv(image.permute(0, 3, 1, 2)))
            return {"logits": self.head(torch.relu(self.middle(x))).mean(dim=(2, 3))}

    _export(Bright().eval(), Preprocess(28, 28, 1), file)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two studies of 2,000 test images: a model that works, and the same one damaged."""
    folder = tmp_path_factory.mktemp("choice")
    parts = {f"{part}_{what}": values for i, (part, n) in enumerate(
        (("train", 60), ("val", 200), ("test", 2000)))
        for what, values in zip(("images", "labels"), blobs(n, i), strict=True)}
    np.savez(folder / "d.npz", **parts)
    (folder / "p.toml").write_text("height_px = 28\nwidth_px = 28\nchannels = 1\n")
    (folder / "s.toml").write_text(STUDY.format(root=folder))
    for name, least, middle in (("good", 0.5, 1.2), ("damaged", 0.6, 0.4)):
        (folder / name).mkdir()
        network(folder / name / "net.tflite", least, middle)
        with pytest.raises(SystemExit) as caught:
            app.main(["run", "-c", str(folder / "s.toml"), "--preprocess", str(folder / "p.toml"),
                      "--float-model", str(folder / name / "net.tflite"),
                      "--model-classes", "benign,malignant",
                      "--out", str(folder / f"run-{name}")])
        assert caught.value.code == 0
    return folder


def test_two_thousand_images_show_the_choice(root, capsys):
    code, out, _ = bedside(capsys, "recommend", root / "run-good", "--json")
    assert code == 0
    found = json.loads(out, parse_constant=pytest.fail)["recommendations"]
    assert [r["target"] for r in found] == ["cpu"]
    one = found[0]
    assert one["chosen"] == "net-float16"
    assert set(one["causes"].values()) == {"budget"}
    assert one["test"]["verdict"] == "confirmed"
    assert one["test"]["n"] == 2000
    assert set(one["rejected"]) == {c["variant"] for c in one["candidates"]} - {one["chosen"]}
    code, out, _ = bedside(capsys, "recommend", root / "run-good")
    assert code == 0
    assert f"cpu: use {one['chosen']}" in out
    assert "confirmed as non-inferior" in out.lower()
    page = (root / "run-good" / "report" / "index.html").read_text()
    assert "confirmed by the test images" in page
    assert (root / "run-good" / "report" / "figures" / "pareto-all.svg").is_file()


def test_the_gate_passes_it_and_stops_a_damaged_release(root, capsys):
    code, _, err = bedside(capsys, "gate", root / "run-good")
    assert code == 0, err
    code, out, err = bedside(capsys, "gate", root / "run-damaged", "--against", root / "run-good",
                             "--json")
    assert code == 1
    failed = [c for c in json.loads(out)["checks"] if c["result"] == "fail"]
    assert {"not worse than before"} <= {c["check"] for c in failed}
    worse = [c for c in failed if c["check"] == "not worse than before"]
    assert all("inferior on the 2000 test images of both runs" in c["detail"] for c in worse)
    code, out, _ = bedside(capsys, "diff", root / "run-good", root / "run-damaged", "--json")
    assert code == 0
    found = json.loads(out, parse_constant=pytest.fail)
    assert {c["test"]["answer"] for c in found["cells"]} == {"worse"}
    assert {s["key"] for s in found["settings"]} == {"float_model.file"}


def test_margins_moved_on_a_finished_run_are_exploratory_everywhere(root, capsys):
    """0.15, 0.15 and 0.10 in study.toml, then recommend, report and gate."""
    run = root / "run-good"
    path, page = run / "study.toml", run / "report" / "index.html"
    text = path.read_text()
    assert "locked in the protocol on" in page.read_text()
    code, out, _ = bedside(capsys, "protocol", "verify", run)
    assert code == 0, out
    moved = text
    for name, before, after in (("sensitivity", 0.02, 0.15), ("specificity", 0.05, 0.15),
                                ("auc", 0.02, 0.1)):
        assert f"{name}_margin = {before}" in moved
        moved = moved.replace(f"{name}_margin = {before}", f"{name}_margin = {after}")
    path.write_text(moved)
    code, out, _ = bedside(capsys, "recommend", run)
    assert code == 0
    assert "Exploratory, not confirmed" in out
    assert bedside(capsys, "report", run)[0] == 0
    told = page.read_text()
    assert "confirmed by the test images" not in told
    assert "evidence.sensitivity_margin 0.02 → 0.15" in told
    results = json.loads((run / "report" / "results.json").read_text())
    assert results["protocol"]["exploratory"] is True
    chosen = json.loads((run / "recommendation.json").read_text())
    assert chosen["recommendations"][0]["test"]["verdict"] == "exploratory"
    assert "**Exploratory:" in next((run / "card").glob("*/model-card.md")).read_text()
    code, _, err = bedside(capsys, "gate", run)
    assert code == 1
    assert "evidence.sensitivity_margin 0.02 → 0.15" in err
    assert bedside(capsys, "protocol", "verify", run)[0] == 1
    path.write_text(text)
    assert bedside(capsys, "recommend", run)[0] == 0
    assert bedside(capsys, "gate", run)[0] == 0
    assert bedside(capsys, "report", run)[0] == 0
    assert "confirmed by the test images" in page.read_text()
    code, out, _ = bedside(capsys, "protocol", "show", run)
    assert "everything was put back" in " ".join(out.split())


def test_another_budget_gives_another_answer_and_remakes_the_report(root, capsys):
    path = root / "run-good" / "study.toml"
    text = path.read_text()
    path.write_text(text.replace("size_bytes = 50000", "size_bytes = 10"))
    code, out, _ = bedside(capsys, "recommend", root / "run-good")
    assert code == 0
    assert "cpu: none recommended" in out
    code, out, _ = bedside(capsys, "recommend", root / "run-good", "--json")
    one = json.loads(out, parse_constant=pytest.fail)["recommendations"][0]
    assert (code, one["chosen"]) == (0, None)
    assert all("exceeds the budget" in reason for reason in one["rejected"].values())
    assert bedside(capsys, "gate", root / "run-good")[0] == 1
    assert bedside(capsys, "report", root / "run-good")[0] == 0
    assert "nothing is recommended" in (root / "run-good" / "report" / "index.html").read_text()
    path.write_text(text)
    assert bedside(capsys, "recommend", root / "run-good")[0] == 0
