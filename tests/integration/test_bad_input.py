"""Bad input through the command line: one line that names the file and the remedy, exit 2,
nothing half-written."""

from __future__ import annotations

import io
import resource
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bedside.cli import app
from bedside.flows.check import check as check_study
from bedside.runfolder.layout import FLOAT_MODEL, model_dir


def _picture(path: Path, seed: int, kind: str = "L") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    shape = (24, 24) if kind == "L" else (24, 24, 3)
    Image.fromarray(rng.integers(1, 255, shape, np.uint8)).save(path)


def _dataset(folder: Path, count: int = 12) -> Path:
    for i in range(count):
        _picture(folder / "benign" / f"b{i}.png", i)
        _picture(folder / "malignant" / f"m{i}.png", 100 + i)
    return folder


def _npz(path: Path, images, labels, **more) -> Path:
    np.savez(path, train_images=images, train_labels=labels, **more)
    return path


def empty(root):
    (root / "d").mkdir()
    return root / "d", "d"


def one_class(root):
    for i in range(4):
        _picture(root / "d" / "benign" / f"{i}.png", i)
    return root / "d", "class"


def class_of_one(root):
    _dataset(root / "d")
    _picture(root / "d" / "rare" / "only.png", 7)
    return root / "d", "rare"


def truncated(root):
    _dataset(root / "d")
    file = root / "d" / "benign" / "b3.png"
    file.write_bytes(file.read_bytes()[:200])
    return root / "d", "b3.png"


def zero_bytes(root):
    _dataset(root / "d")
    (root / "d" / "malignant" / "m2.png").write_bytes(b"")
    return root / "d", "m2.png"


def all_black(root):
    _dataset(root / "d")
    Image.new("L", (24, 24), 0).save(root / "d" / "benign" / "b1.png")
    return root / "d", "b1.png"


def too_large(root):
    _dataset(root / "d")
    Image.new("1", (8000, 6000), 1).save(root / "d" / "benign" / "huge.png")
    return root / "d", "huge.png"


def npz_nan(root):
    images = np.full((8, 28, 28), np.nan, np.float32)
    return _npz(root / "d.npz", images, np.arange(8)[:, None] % 2), "d.npz"


def npz_objects(root):
    images = np.array([{"a": 1}] * 8, dtype=object)
    return _npz(root / "d.npz", images, np.arange(8)[:, None] % 2), "d.npz"


def npz_labels(root):
    images = np.random.default_rng(0).integers(1, 255, (8, 28, 28), np.uint8)
    return _npz(root / "d.npz", images, np.arange(8)[:, None] - 1), "d.npz"


def npz_keys(root):
    np.savez(root / "d.npz", pictures=np.zeros((2, 2)))
    return root / "d.npz", "d.npz"


def npz_not_zip(root):
    (root / "d.npz").write_bytes(b"hello")
    return root / "d.npz", "d.npz"


def _csv(root, text):
    _dataset(root / "d")
    (root / "d" / "manifest.csv").write_text(text)
    return root / "d" / "manifest.csv"


def csv_columns(root):
    return _csv(root, "file,class\nbenign/b0.png,benign\n"), "label"


def csv_missing_file(root):
    text = "file,label\nbenign/none.png,benign\nmalignant/m0.png,malignant\n"
    return _csv(root, text), "none.png"


def csv_twice(root):
    return _csv(root, "file,label\nbenign/b0.png,benign\nbenign/b0.png,benign\n"), "b0.png"


def csv_outside(root):
    _picture(root / "secret.png", 1)
    text = "file,label\n../secret.png,benign\nmalignant/m0.png,malignant\n"
    return _csv(root, text), "secret.png"


CASES = [empty, one_class, class_of_one, truncated, zero_bytes, all_black, too_large, npz_nan,
         npz_objects, npz_labels, npz_keys, npz_not_zip, csv_columns, csv_missing_file, csv_twice,
         csv_outside]


def _refused(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        app.main(list(arguments))
    output = capsys.readouterr()
    assert caught.value.code == 2, output.err
    assert output.out == ""
    assert "Traceback" not in output.err
    fault = [line for line in output.err.splitlines() if line.startswith("bedside: ")]
    assert len(fault) == 1
    assert fault[0].rstrip().endswith((".", "?"))
    return fault[0]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.__name__)
def test_bad_data_is_one_message_and_nothing_is_left(case, capsys, tmp_path):
    source, named = case(tmp_path)
    out = tmp_path / "out"
    message = _refused(capsys, "run", str(source), "--out", str(out), "--model", "resnet34")
    assert named in message
    assert not out.exists() or not list(out.rglob("manifest.json"))
    assert not (out / "study.toml").exists()


@pytest.mark.parametrize("case", [truncated, zero_bytes, all_black, too_large],
                         ids=lambda c: c.__name__)
def test_skip_bad_sets_the_image_aside_and_lists_it(case, tmp_path):
    from bedside.core import codec
    from bedside.core.study import DataConfig, Study
    from bedside.models import default_config
    from bedside.stages.data.stage import prepare

    source, named = case(tmp_path)
    config = check_study(Study(data=DataConfig(source=str(source), skip_bad=True),
                               models=(default_config("resnet34"),)))
    prepare(tmp_path / "run", config)
    audit = codec.parse_json((tmp_path / "run" / "data" / "audit.json").read_text(), "audit")
    assert [named in row["file"] for row in audit["set_aside"]].count(True) == 1


def test_an_output_folder_that_cannot_be_written(capsys, tmp_path):
    (tmp_path / "file").write_text("x")
    data = _dataset(tmp_path / "d")
    for out in (str(tmp_path / "file" / "run"), "/proc/bedside/run", str(tmp_path / ("n" * 300))):
        message = _refused(capsys, "run", str(data), "--out", out)
        assert "--out" in message


def test_a_full_disk_is_one_message_and_the_old_results_stay(tmp_path):
    """RLIMIT_FSIZE stands for a full disk: writes past it fail at any place."""
    data = _dataset(tmp_path / "d", 30)
    out = tmp_path / "run"
    command = [sys.executable, "-m", "bedside", "run", str(data), "--out", str(out),
               "--model", "resnet34"]

    def limit() -> None:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, check=False)
    assert done.returncode == 2, done.stderr[-800:]
    assert "Traceback" not in done.stderr
    assert "limit" in done.stderr.splitlines()[-1]
    assert not list(out.rglob("pixels.bin"))


def _bad_models(root: Path, good: Path) -> dict[str, Path]:
    files = {"text": root / "text.tflite", "cut": root / "cut.tflite", "empty": root / "e.tflite"}
    files["text"].write_bytes(b"not a model at all" * 10)
    files["cut"].write_bytes(good.read_bytes()[:5000])
    files["empty"].write_bytes(b"")
    return files


@pytest.mark.parametrize("kind", ["text", "cut", "empty"])
def test_a_float_model_that_does_not_load(capsys, tmp_path, tiny_run, kind):
    data = _dataset(tmp_path / "d", 20)
    file = _bad_models(tmp_path, model_dir(tiny_run, "resnet34") / FLOAT_MODEL)[kind]
    message = _refused(capsys, "run", str(data), "--out", str(tmp_path / "run"),
                       "--float-model", str(file))
    assert file.name in message
    assert not (tmp_path / "run").exists()


def test_a_float_model_of_other_classes_is_refused(capsys, tmp_path, tiny_run):
    data = _dataset(tmp_path / "d", 20)
    for i in range(20):
        _picture(data / "normal" / f"n{i}.png", 300 + i)
    message = _refused(capsys, "run", str(data), "--out", str(tmp_path / "run"), "--float-model",
                       str(model_dir(tiny_run, "resnet34") / FLOAT_MODEL))
    assert "2 classes" in message
    assert "3" in message
    # What stays is a finished data stage, and no configuration to go on from.
    assert not (tmp_path / "run" / "study.toml").exists()


def test_weights_as_pickle_are_refused(capsys, tmp_path):
    data = _dataset(tmp_path / "d", 20)
    file = tmp_path / "weights.pth"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("data.pkl", io.BytesIO(b"cos\nsystem\n(S'touch hacked'\ntR.").getvalue())
    message = _refused(capsys, "run", str(data), "--out", str(tmp_path / "run"), "--model",
                       "resnet34", "--weights", str(file), "--epochs", "1")
    assert "safetensors" in message
    assert not (tmp_path / "hacked").exists()
    assert not (tmp_path / "run").exists()


def test_a_float_model_named_as_a_network_of_the_study_is_refused(capsys, tmp_path):
    data = _dataset(tmp_path / "d", 20)
    (tmp_path / "resnet34.tflite").write_bytes(b"")
    message = _refused(capsys, "run", str(data), "--out", str(tmp_path / "run"), "--model",
                       "resnet34", "--float-model", str(tmp_path / "resnet34.tflite"))
    assert "'resnet34' is already used" in message
    assert "Rename" in message


@pytest.mark.parametrize(("flags", "named"), [
    (("DATA/none",), "none"), (("DATA", "--only", "zzz*"), "zzz"),
    (("DATA", "--weights", "w.pth"), "w.pth"), (("DATA", "--out", "DATA/runs/x"), "inside"),
    (("DATA", "--out", "DATA"), "inside")], ids=["missing", "only", "weights", "in", "is"])
@pytest.mark.parametrize("dry", [True, False], ids=["dry", "run"])
def test_what_run_refuses_at_once_a_dry_run_refuses_too(capsys, tmp_path, flags, named, dry):
    data = _dataset(tmp_path / "d", 4)
    before = sorted(tmp_path.rglob("*"))
    given = [f.replace("DATA", str(data)) for f in flags]
    if "--out" not in given:
        given += ["--out", str(tmp_path / "run")]
    message = _refused(capsys, "run", *given, "--model", "resnet34",
                       *(["--dry-run"] if dry else []))
    assert named in message
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(("flags", "named"), [
    (("EMPTY",), "no image"), (("DATA", "--class-names", "a,b"), "class-names"),
    (("DATA", "--positive", "malignent"), "malignent"), (("DATA", "--exclude", "a"), "'a'"),
    (("DATA", "--split-file", "none.csv"), "none.csv"), (("FEW",), "one"),
    (("phantom", "--class-names", "a,b"), "class-names"),
    (("phantom", "--positive", "cyst"), "cyst"), (("--config", "STUDY"), "height_px")],
    ids=["empty", "names", "positive", "exclude", "split", "few", "drawn names", "drawn positive",
         "drawn size"])
def test_data_that_cannot_work_are_refused_by_a_dry_run(capsys, tmp_path, flags, named):
    (tmp_path / "empty").mkdir()
    _dataset(tmp_path / "few", 1)
    (tmp_path / "s.toml").write_text("[data]\nsource = 'phantom'\n[data.phantom]\nheight_px = 3\n")
    places = {"DATA": _dataset(tmp_path / "d", 4), "EMPTY": tmp_path / "empty",
              "FEW": tmp_path / "few", "STUDY": tmp_path / "s.toml"}
    before = sorted(tmp_path.rglob("*"))
    for dry in (["--dry-run"], []):
        message = _refused(capsys, "run", *(str(places.get(f, f)) for f in flags), "--out",
                           str(tmp_path / "run"), "--model", "resnet34", *dry)
        assert named in message
        if dry:
            assert sorted(tmp_path.rglob("*")) == before
            told = message
    assert message.rpartition(": ")[2] == told.rpartition(": ")[2]


def test_a_target_whose_name_leads_out_of_the_run_is_refused(capsys, tmp_path):
    data = _dataset(tmp_path / "d", 4)
    profile = tmp_path / "run" / "targets" / "mine.toml"
    profile.parent.mkdir(parents=True)
    profile.write_text('id = "../../evil"\nbackend = "cpu"\n')
    message = _refused(capsys, "run", str(data), "--out", str(tmp_path / "run"), "--target",
                       "../../evil")
    assert "mine.toml" in message
    assert "../../evil" in message
    profile.write_text('id = "mine"\nbackend = "cpu"\n')
    app.guarded(["run", str(data), "--out", str(tmp_path / "run"), "--target", "mine",
                  "--dry-run"])
    assert "float32@mine" in capsys.readouterr().out


@pytest.mark.parametrize(("text", "named"), [
    ("seed = -1", "seed"), ("[calibration]\nseed = -1", "calibration.seed"),
    ("[calibration]\nestimator = 'percentil'", "percentile"),
    ("[train]\nlearning_rate = 0.0", "learning_rate"),
    ("[evaluate]\nsplits = []", "evaluate.splits"),
    ("[evaluate]\nsplits = ['set_aside']", "evaluate.splits"),
    *((f"[[models]]\nname = 'resnet34'\nid = '{name}'", "cannot be named")
      for name in ("../../evil", "a/b", "/tmp/x", ".", "..", "a+b", "a@b", " ", "all", "-a")),
    ("[[models]]\nname = 'resnet34'\nwidth = 0.0", "width")])
def test_a_study_that_cannot_work_is_refused_before_any_image_is_read(
        capsys, tmp_path, text, named):
    data = _dataset(tmp_path / "d", 4)
    study = tmp_path / "s.toml"
    models = "" if "models" in text else "[[models]]\nname = 'resnet34'\n"
    study.write_text(f"{text}\n{models}" if text.startswith("seed") else f"{models}{text}\n")
    message = _refused(capsys, "run", str(data), "-c", str(study), "--out", str(tmp_path / "run"))
    assert named in message
    assert not (tmp_path / "run").exists()
