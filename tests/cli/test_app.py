"""Usage, exit codes and messages of the command line."""

from __future__ import annotations

import json

import pytest
from paths import ROOT

from bedside.cli import app
from bedside.flows import resolve


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        app.main(list(arguments))
    output = capsys.readouterr()
    return caught.value.code, output.out, output.err


@pytest.mark.parametrize(("arguments", "fault", "remedy"), [
    (["run", "--nope"], "No such option", "--help"),
    (["runn"], "No such command", "--help"),
    (["run"], "no dataset", "bedside demo"),
    (["run", "nowhere", "--scheme", "int9"], "unknown scheme 'int9'", "Did you mean 'int8'?"),
    (["run", "nowhere", "--scheme", "int8+io9"], "no option 'io9'", "Did you mean 'io8'?"),
    (["run", "nowhere", "--model", "resnet43"], "unknown model", "Did you mean 'resnet34'?"),
    (["run", "nowhere", "--target", "cpus"], "unknown target", "Did you mean 'cpu'?"),
    (["doctor", "--target", "zzz"], "unknown target 'zzz'", "Known: cpu, cpu-1, "),
    (["run", "nowhere", "--scheme", "int8", "--scheme", "int8"], "twice", "once"),
    (["run", "nowhere", "--merge", "other"], "NEW=A,B", "--merge other=benign,normal"),
    (["run", "-c", "shares.toml", "--dry-run"], "proportions -1:2:3", "1000:200:200"),
    (["run", "-c", "no_shares.toml", "--dry-run"], "proportions 0:0:0", "1000:200:200"),
    (["run", "-c", "no_targets.toml", "--dry-run"], "targets: no target", "cpu"),
    (["run", "nowhere", "--preset", "papers"], "unknown preset", "Did you mean 'paper'?"),
    (["run", "nowhere", "--last-conv", "x"], "without --float-model", ""),
    (["run", "-c", "none.toml"], "none.toml: no such file", ""),
    (["run", "nowhere"], "nowhere", ""),
    (["train", "nowhere"], "not a run folder", "bedside run DATASET"),
    (["list", "modules"], "unknown list", "Did you mean 'models'?"),
    (["show", "nowhere"], "no such folder", ""),
    (["predict", "nowhere", "x.png"], "no such file", "RUN/variants"),
    (["predict", "runs/nowhere", "x.png"], "not a variant's folder", "RUN/variants"),
    (["verify", "none.zip"], "none.zip: cannot be read", "bedside bundle"),
    (["bundle", "nowhere", "--target", "cpu", "--out", "x.zip"], "no recommendation",
     "--variant"),
])
def test_bad_usage_is_one_line_and_exit_2(capsys, tmp_path, monkeypatch, arguments, fault, remedy):
    monkeypatch.chdir(tmp_path)
    data = '[data]\nsource = "phantom"\n'
    models = '[[models]]\nname = "resnet34"\n'
    (tmp_path / "shares.toml").write_text(f"{data}proportions = [-1, 2, 3]\n{models}")
    (tmp_path / "no_shares.toml").write_text(f"{data}proportions = [0, 0, 0]\n{models}")
    (tmp_path / "no_targets.toml").write_text(f"targets = []\n{data}{models}")
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert fault in err
    assert remedy in err
    assert err.count("\n") == 1
    assert "Traceback" not in err


@pytest.mark.parametrize("what", ["models", "schemes", "targets", "metrics"])
def test_lists_as_table_and_json(capsys, what):
    code, out, _ = run(capsys, "list", what, "--json")
    rows = json.loads(out)[what]
    assert code == 0
    assert rows
    code, table, _ = run(capsys, "list", what)
    assert code == 0
    for row in rows:
        assert str(next(iter(row.values()))) in table


def test_a_bug_is_exit_70_without_a_traceback(capsys, monkeypatch):
    class Broken:
        def items(self):
            raise ZeroDivisionError

    monkeypatch.setattr("bedside.models.DESCRIPTIONS", Broken())
    code, _, err = run(capsys, "list", "models")
    assert code == 70
    assert "bug" in err
    assert "Traceback" not in err


def test_missing_workbench_is_exit_3(capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, _, err = run(capsys, "demo")
    assert code == 3
    assert "bedside[workbench]" in err


def test_ctrl_c_says_how_to_go_on(monkeypatch, capsys):
    class Interrupted:
        def items(self):
            raise KeyboardInterrupt

    monkeypatch.setattr("bedside.models.DESCRIPTIONS", Interrupted())
    assert app.guarded(["list", "models"]) == 130
    assert "run the same command again" in capsys.readouterr().err


def test_merges_into_one_class_add_up():
    flags = resolve.Flags(preset="demo", merge=("c=a", "c=b, a", "d=e"))
    assert resolve.resolve(None, flags).data.merge == {"c": ("a", "b"), "d": ("e",)}


def test_the_installed_command_starts_where_ctrl_c_counts():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["project"]["scripts"]["bedside"] == "bedside.__main__:main"
