"""The report in real headless Chromium: offline, quiet, readable on a laptop and a phone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from report_fixture import PAYLOADS, Names, make_run

from bedside.core.study import EvaluateConfig
from bedside.runfolder import stored
from bedside.services.lab.plan import make_plan
from bedside.services.lab.session import Device, Lab
from bedside.stages.report.build import build_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=[
            "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_report(make_run(tmp_path_factory.mktemp("report")))


def _open(browser: Browser, page_file: Path, width: int) -> tuple[Page, list[str], list[str]]:
    """The page, what the console and dialogs said, and every request but the page itself."""
    page = browser.new_page(viewport={"width": width, "height": 900}, offline=True)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda m: said.append(m.text))
    page.on("pageerror", lambda e: said.append(str(e)))
    page.on("dialog", lambda d: (said.append(f"dialog {d.message}"), d.dismiss()))
    page.on("request", lambda r: asked.append(r.url))
    page.goto(page_file.as_uri())
    rest = [u for u in asked if u != page_file.as_uri() and not u.startswith("data:")]
    return page, said, rest


@pytest.mark.parametrize("width", [375, 1280])
def test_the_page_opens_offline_without_a_word_and_fits(browser, report, width):
    page, said, asked = _open(browser, report, width)
    assert said == []
    assert asked == []
    assert "malignant" in page.inner_text("h1")
    overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert overflow <= 0, f"the page is {overflow} px wider than the window"
    broken = page.evaluate("[...document.images].filter(i => i.naturalWidth === 0).length")
    assert broken == 0
    page.close()


@pytest.mark.parametrize("width", [375, 1280])
def test_the_page_of_flips_opens_offline_and_fits(browser, report, width, tmp_path):
    from bedside.figures.base import FigureData
    from bedside.stages.report import flips_page

    image = np.tile(np.arange(80, dtype=np.uint8), (60, 1))
    row = {"id": "c0123456789abcde", "split": "test", "label": "malignant", "kind": "missed",
           "variant": "efficientnet_lite0-int8+percentile+weights_mse", "target": "sm8650-hexagon",
           "also": ["efficientnet_lite0-int8+percentile+weights_mse@cpu-4threads"],
           "called": ["malignant", "benign"], "score": [0.51, 0.49], "margin": [0.01, -0.01],
           "picture": 0}
    data = FigureData(dict.fromkeys(("images", "before", "after"), image[None]), {
        "model": "efficientnet_lite0", "threshold": 0.5, "maps_reason": None})
    flips_page.write(tmp_path, flips_page.Flips(((data, row),) * 120, (), 4000), True)
    for name in ("flips.html", "flips-2.html"):
        page, said, asked = _open(browser, tmp_path / name, width)
        assert said == []
        assert asked == []
        overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert overflow <= 0, f"{name} is {overflow} px wider than the window"
        assert page.locator("article img").count() in (300, 60)
        page.close()
    page, said, asked = _open(browser, report.with_name("flips.html"), width)
    assert said == []
    assert "not computed yet" in page.inner_text("header")
    page.close()


def test_every_section_of_the_menu_can_be_reached(browser, report):
    page, _, _ = _open(browser, report, 1280)
    links = page.eval_on_selector_all("nav a", "all => all.map(a => a.getAttribute('href'))")
    assert len(links) >= 5
    for link in links:
        assert page.locator(link).count() == 1
    page.close()


def test_hostile_names_do_not_fire(browser, tmp_path):
    """40 payloads as class and machine names, eight pages of five."""
    fired: list[str] = []
    for start in range(0, len(PAYLOADS), 5):
        five = [p for p in PAYLOADS[start:start + 5] if "\x00" not in p]
        classes = tuple(f"{p} {i}" for i, p in enumerate(five))
        names = Names(classes=classes, reason=five[0], machine=five[-1])
        page, said, asked = _open(browser, build_report(make_run(tmp_path / str(start), names)),
                                  1280)
        fired += said + asked
        page.close()
    assert fired == []


def test_hostile_words_of_phones_do_not_fire(browser, tmp_path):
    """40 payloads as names, browsers, systems and reasons of lab rows, all in one report."""
    run = make_run(tmp_path / "run")
    plan = replace(make_plan(run, share_images=False, only="efficientnet_lite0-float32"),
                   config=EvaluateConfig(rounds=1, warmup=0, samples=1))
    lab = Lab(plan)
    payloads = [p for p in PAYLOADS if "\x00" not in p]
    for number, payload in enumerate(payloads):
        device = Device(f"{number} {payload}", payload, payload, True, 2, ("wasm", "webgpu"),
                        payload)
        _, token = lab.join(device, False)
        for key, value in (("cell-0-wasm", {"status": "ok", "reason": None}),
                           ("cell-0-webgpu", {"status": "unsupported", "reason": payload}),
                           ("time-0-wasm-0", {"ms": [1.0 + number]})):
            lab.put(lab.by_token(token), key, value)
        lab.finish(lab.by_token(token))
    rows = [m for m in stored.measurements(run) if m.target.startswith("lab-")]
    assert len(rows) == 2 * len(payloads)
    page, said, asked = _open(browser, build_report(run), 1280)
    assert said + asked == []
    text = page.content()
    assert all(m.target in text for m in rows)
    page.close()


SHUT = """[...document.querySelectorAll('main details')].filter(d => ![...d.children].some(
    c => c.tagName !== 'SUMMARY' && c.checkVisibility())).length"""


def test_it_prints_with_every_detail_open(browser, report, tmp_path):
    page, _, _ = _open(browser, report, 1280)
    assert page.evaluate(SHUT) > 3
    page.emulate_media(media="print")
    page.pdf(path=tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").stat().st_size > 10_000
    assert page.evaluate(SHUT) == 0
    page.close()


def test_a_link_to_something_folded_opens_it(browser, report):
    page, _, _ = _open(browser, report, 1280)
    shown = "document.getElementById('inside').checkVisibility()"
    page.evaluate("document.querySelector('main details.fold:not([open]) > :not(summary)').id "
                  "= 'inside'")
    assert not page.evaluate(shown)
    page.goto(f"{report.as_uri()}#inside")
    page.wait_for_function(shown)
    page.close()
