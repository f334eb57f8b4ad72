"""The documentation and the program name the same commands, flags, files and links."""

from __future__ import annotations

import importlib.util
import re

import pytest
from paths import ROOT

from bedside.cli.app import PANELS, command

GUIDE = (ROOT / "docs" / "cli.md").read_text()
COMMANDS = {name: command(name) for name in PANELS}


def _parameters(name):
    """The parameters of a command, or those of every command of a group."""
    own = COMMANDS[name]
    return [p for c in getattr(own, "commands", {"": own}).values() for p in c.params]


FLAGS = {name: {f for p in _parameters(name) for f in (*p.opts, *p.secondary_opts)} | {"--help"}
         for name in COMMANDS}
PAGES = sorted(p.relative_to(ROOT).as_posix() for p in [*ROOT.glob("*.md"),
                                                         *(ROOT / "docs").rglob("*.md")])
# Plans and history name what is not there yet, or no longer.
HISTORY = ("CHANGELOG.md",)
# A file that a page tells the reader to write.
TO_WRITE = ("src/bedside/schemes/weight_only.py",)
SCRIPTS = ("examples/study.sh", "examples/gate.yml")


def _section(name: str) -> str:
    match = re.search(rf"^## `bedside {name}`.*?(?=^## |\Z)", GUIDE, re.S | re.M)
    assert match, f"docs/cli.md has no section for 'bedside {name}'"
    return match.group(0)


def _code(page: str) -> list[str]:
    """Every piece of code of a page: fenced lines and code in the text."""
    text = (ROOT / page).read_text()
    if not page.endswith(".md"):
        return text.splitlines()
    fenced = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.S | re.M)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
    return [*(line for block in fenced for line in block.replace("\\\n", " ").splitlines()),
            *(" ".join(c.split()) for c in re.findall(r"`([^`]+)`", rest))]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_and_flag_is_documented(name):
    text = _section(name)
    for sub in getattr(COMMANDS[name], "commands", {}):
        assert f"`bedside {name} {sub} " in text, f"{name} {sub} is missing from docs/cli.md"
    for parameter in _parameters(name):
        if parameter.param_type_name == "option":
            for flag in parameter.opts:
                if flag.startswith("--help"):
                    continue
                assert f"`{flag}" in text, f"{name}: {flag} is missing from docs/cli.md"
        else:
            assert parameter.name is not None
            shown = (parameter.metavar or parameter.name).upper()
            assert shown in text, f"{name}: {shown} is missing"


def test_the_guide_names_nothing_that_is_not_there():
    for name in re.findall(r"^## `bedside ([\w-]+)`", GUIDE, re.M):
        assert name in COMMANDS
        for flag in re.findall(r"`(--[a-z-]+)", _section(name)):
            assert flag in FLAGS[name], f"{name}: docs/cli.md names {flag}, which does not exist"


@pytest.mark.parametrize("page", [*PAGES, *SCRIPTS])
def test_every_command_that_a_page_shows_exists(page):
    for code in _code(page):
        for name, rest in re.findall(
                r"(?:^|[\s(/])bedside\s+([a-z][a-z-]*)\b([^|;#)]*)", code):
            assert name in COMMANDS, f"{page}: 'bedside {name}' does not exist"
            for flag in re.findall(r"(?<![\w-])(--[a-z][a-z-]*)", rest):
                assert flag in FLAGS[name], f"{page}: 'bedside {name} {flag}' does not exist"


@pytest.mark.parametrize("page", [p for p in PAGES if p not in HISTORY])
def test_every_source_file_that_a_page_names_exists(page):
    house = ROOT / "src" / "bedside"
    for code in _code(page):
        for path in re.findall(r"(?<![\w./-])[\w./-]+/\w+\.(?:py|toml|ts|css|j2)\b", code):
            if path.startswith(("RUN/", "../")) or "<" in code or path in TO_WRITE:
                continue
            assert any((base / path).exists() for base in (ROOT, house, ROOT / "web")), (
                f"{page}: {path} is not there")


@pytest.mark.parametrize("page", [p for p in PAGES if p not in HISTORY])
def test_every_import_that_a_page_shows_works(page):
    for code in _code(page):
        for module, names in re.findall(r"^from (bedside[\w.]*) import ([\w, ]+)", code):
            offered = importlib.import_module(module)
            for name in re.split(r",\s*", names.strip()):
                assert hasattr(offered, name) or importlib.util.find_spec(f"{module}.{name}"), code


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", (ROOT / page).read_text()):
        assert (ROOT / page).parent.joinpath(target).exists(), f"{page}: {target}"


def test_the_example_study_reads_and_shows_the_real_defaults():
    from bedside.core import codec
    from bedside.core.study import Study, TrainConfig

    study = codec.read_toml(Study, ROOT / "examples" / "study.toml")
    assert study.train == TrainConfig()
    text = (ROOT / "examples" / "study.toml").read_text()
    shown = re.findall(r"^(\w+) =", text.split("[train]")[1].split("\n[")[0], re.MULTILINE)
    assert set(shown) >= {"optimizer", "schedule", "patience", "ema_decay", "tune", "augment"}
