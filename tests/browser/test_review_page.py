"""The review page in real headless Chromium: keys, boxes, and what is kept of them."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from bedside.core import codec
from bedside.deid import key, ledger
from bedside.deid.ledger import Entry, Ledger
from bedside.runfolder import artefact
from bedside.services.review import decisions
from bedside.services.review.server import Server

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
]


@pytest.fixture
def work(tmp_path):
    private, out = tmp_path / "private", tmp_path / "clean"
    for name in ("", "quarantine", "previews", "tables"):
        key.private_dir(private / name)
    entries = []
    rng = np.random.default_rng(1)
    for number in range(3):
        picture = Image.fromarray(rng.integers(0, 255, (200, 300), np.uint8))
        for place in ("quarantine", "previews"):
            picture.save(private / place / f"f{number}.png")
        entries.append(Entry(f"e{number}", "picture", "quarantined",
                             "text in the image (--deid-pixels removes it)",
                             f"quarantine/f{number}.png"))
    book = Ledger(tuple(entries))
    key.write_private(private / ledger.NAMES, ledger.names_csv(book).encode())
    key.write_private(private / decisions.DESTINATION, codec.to_json({
        "out": str(out), "stage": "import",
        "targets": {e.id: f"benign/f{n}.png" for n, e in enumerate(entries)}}).encode())
    with artefact.writing(out, "import", "k" * 24) as scratch:
        artefact.write_text(scratch / ledger.LEDGER, ledger.to_csv(book))
    return decisions.open_review(private)


def test_keys_and_boxes_decide(work):
    with Server(work) as server, sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=[
            "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync"])
        page = chromium.new_page(viewport={"width": 1280, "height": 800})
        said, asked = [], []
        page.on("console", lambda m: said.append(m.text))
        page.on("pageerror", lambda e: said.append(str(e)))
        page.on("request", lambda r: asked.append(r.url))
        page.goto(server.address)
        expect(page.locator("#count")).to_have_text("3 images, 3 undecided")
        expect(page.locator("#image")).to_have_js_property("naturalWidth", 300)
        page.keyboard.press("r")
        assert "Drag over" in page.locator("#hint").inner_text()
        box = page.locator("#image").bounding_box()
        page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.1 * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.3 * box["height"])
        page.mouse.up()
        page.keyboard.press("r")
        expect(page.locator("#count")).to_have_text("3 images, 2 undecided")
        page.keyboard.press("x")
        expect(page.locator("#count")).to_have_text("3 images, 1 undecided")
        page.keyboard.press("a")
        expect(page.locator("#count")).to_have_text("3 images, 0 undecided")
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.locator("#done").click()
        assert server.done.wait(5)
        chromium.close()
    assert said == []
    assert all(url.startswith(server.address) for url in asked)
    found = decisions.decisions(work)
    assert [found[f"e{n}"].verdict for n in range(3)] == ["redact", "reject", "accept"]
    assert np.allclose(found["e0"].boxes, [(0.2, 0.1, 0.6, 0.3)], atol=0.01)
    assert decisions.apply(work) == {"accept": 1, "redact": 1, "reject": 1, "open": 0}
    assert sorted(p.name for p in (work.out / "benign").iterdir()) == ["f0.png", "f2.png"]
