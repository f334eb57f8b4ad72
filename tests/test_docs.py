"""The documentation names every command and flag, and its links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bedside.cli.app import PANELS, command

ROOT = Path(__file__).resolve().parents[1]
GUIDE = (ROOT / "docs" / "cli.md").read_text()
COMMANDS = {name: command(name) for name in PANELS}


def _section(command: str) -> str:
    found = re.search(rf"^## `bedside {command}`.*?(?=^## |\Z)", GUIDE, re.S | re.M)
    assert found, f"docs/cli.md has no section for 'bedside {command}'"
    return found.group(0)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_and_flag_is_documented(command):
    text = _section(command)
    for parameter in COMMANDS[command].params:
        if parameter.param_type_name == "option":
            for flag in parameter.opts:
                if flag.startswith("--help"):
                    continue
                assert f"`{flag}" in text, f"{command}: {flag} is missing from docs/cli.md"
        else:
            assert parameter.name is not None
            shown = (parameter.metavar or parameter.name).upper()
            assert shown in text, f"{command}: {shown} is missing"


def test_the_guide_names_nothing_that_is_not_there():
    for name in re.findall(r"^## `bedside (\w+)`", GUIDE, re.M):
        assert name in COMMANDS
        flags = {f for p in COMMANDS[name].params for f in p.opts}
        for flag in re.findall(r"`(--[a-z-]+)", _section(name)):
            assert flag in flags, f"{name}: docs/cli.md names {flag}, which does not exist"


@pytest.mark.parametrize("page", sorted(p.relative_to(ROOT).as_posix() for p in [
    *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]))
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / page).read_text()):
        assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"


def test_the_example_study_reads_and_shows_the_real_defaults(checkout):
    from bedside.core import codec
    from bedside.core.study import Study, TrainConfig

    study = codec.read_toml(Study, checkout / "examples" / "study.toml")
    assert study.train == TrainConfig()
    text = (checkout / "examples" / "study.toml").read_text()
    shown = re.findall(r"^(\w+) =", text.split("[train]")[1].split("\n[")[0], re.MULTILINE)
    assert set(shown) >= {"optimizer", "schedule", "patience", "ema_decay", "tune", "augment"}
