"""The web app in real headless Chromium: first and second visit, answers, refusals, access."""

from __future__ import annotations

import http.server
import json
import shutil
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from app_fixture import ARGS, CHROMIUM, GPU_ARGS, make_bundle, serving
from PIL import Image
from playwright.sync_api import sync_playwright
from report_fixture import PAYLOADS

from bedside import schemes
from bedside.cli import app
from bedside.core.study import EvaluateConfig
from bedside.runfolder import stored
from bedside.runtime.bundle import signing
from bedside.runtime.bundle.reader import keys, open_bundle
from bedside.runtime.device import Device
from bedside.runtime.preprocess import decode
from bedside.services.app import export, files
from bedside.stages import build, quantize
from bedside.stages.evaluate.stage import evaluate

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
VARIANT = "resnet34-float32"
# What LiteRT.js itself writes to the console.
ENGINE_WORDS = ("INFO:", "WARNING: [npu_registry", "No available adapters", "WebGPU device",
                "XNNPACK", "No GPU adapter")

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def play():
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(play):
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    chromium = play.chromium.launch(executable_path=CHROMIUM,
                                    args=[*ARGS, "--disable-gpu", *camera])
    yield chromium
    chromium.close()


@pytest.fixture(scope="module")
def made(tiny_run, tmp_path_factory):
    """A bundle that ``bedside bundle`` made, its public key and the app of ``bedside web``."""
    assert files.app_dir()
    folder = tmp_path_factory.mktemp("app")
    run = folder / "run"
    shutil.copytree(tiny_run, run, ignore=shutil.ignore_patterns("measurements", "builds"))
    quantize.quantize(run, "resnet34", schemes.parse("float32"), None, None)
    build.build(run, VARIANT, "cpu")
    evaluate(run, [(VARIANT, "cpu")], EvaluateConfig(rounds=1, warmup=0, samples=1))
    private, public, _ = signing.keygen(folder / "keys")
    bundle = folder / "model.zip"
    _command("bundle", run, "--target", "cpu", "--variant", VARIANT, "--below-floor", "--key",
             private, "--out", bundle)
    _command("web", bundle, "--trust", public, "--out", folder / "site")
    return folder


def _command(*arguments):
    with pytest.raises(SystemExit) as ended:
        app.main([str(a) for a in arguments])
    assert ended.value.code == 0


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """A plain host of static files, without the headers that threads need."""

    def log_message(self, *_):
        pass


@pytest.fixture
def site(made):
    """The exported app behind a plain static server; stopping it is being offline."""
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_Quiet, directory=made / "site"))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", server
    server.shutdown()
    server.server_close()


def _watched(context):
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda m: said.append(m.text))
    page.on("pageerror", lambda e: said.append(f"error {e}"))
    page.on("dialog", lambda d: (said.append(f"dialog {d.message}"), d.dismiss()))
    page.on("request", lambda r: asked.append(r.url))
    return page, said, asked


def _strange(said):
    return [s for s in said if not any(w in s for w in ENGINE_WORDS)]


def _ready(page):
    page.wait_for_selector("#runs-on", timeout=60_000)
    _until(page, "!document.querySelector('#runs-on').textContent.includes('Testing')")


def _until(page, expression, seconds=60):
    """Wait for a condition; Playwright's own waiting evaluates text, which the policy forbids."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"still not: {expression}"
        page.wait_for_timeout(50)


def _answer(page, path):
    page.evaluate("delete document.querySelector('#result').dataset.logits")
    page.set_input_files("#file", path)
    page.wait_for_selector("#result[data-logits] #verdict", timeout=20_000)
    return json.loads(page.get_attribute("#result", "data-logits"))


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Pictures of the kinds a user may have: 8 and 16 bits, colour, palette, alpha, odd sizes."""
    folder, rng = tmp_path_factory.mktemp("scans"), np.random.default_rng(3)
    grey = rng.integers(10, 250, (61, 83), dtype=np.uint8)
    colour = rng.integers(0, 255, (40, 37, 3), dtype=np.uint8)
    pictures = {
        "grey": Image.fromarray(grey), "small": Image.fromarray(grey[:20, :25]),
        "deep": Image.fromarray(rng.integers(900, 40_000, (50, 44)).astype(np.uint16)),
        "colour": Image.fromarray(colour), "palette": Image.fromarray(colour).quantize(20),
        "alpha": Image.fromarray(np.dstack([colour, colour[..., :1]])),
        "two": Image.fromarray(grey).convert("1"),
    }
    for name, image in pictures.items():
        image.save(folder / f"{name}.png")
    return sorted(folder.glob("*.png"))


def test_first_visit_answers_as_python_and_the_second_works_offline(
        browser, site, scans, made):
    url, server = site
    context = browser.new_context()
    page, said, asked = _watched(context)
    page.goto(url)
    _ready(page)
    opened = open_bundle(made / "model.zip", keys([made / "keys" / "bedside.pub"]))
    assert opened.familiarity is not None
    with Device(opened) as device:
        answers = [a for a, _ in device.images((p.name, p.read_bytes()) for p in scans)]
    expected = [a.logits for a in answers]
    for path, answer in zip(scans, answers, strict=True):
        np.testing.assert_allclose(_answer(page, path), answer.logits, atol=1e-4)
        _says_what_python_says(page, opened, answer)
    assert page.evaluate("crossOriginIsolated"), "the service worker gives threads"
    _until(page, "document.querySelector('#offline').textContent.includes('offline')")
    server.shutdown()
    server.server_close()
    context.set_offline(True)
    again, words, _ = _watched(context)
    again.goto(url)
    _ready(again)
    np.testing.assert_allclose(_answer(again, scans[0]), expected[0], atol=1e-4)
    # The history came along.
    _until(again, f"document.querySelectorAll('.history li').length === {len(scans) + 1}")
    again.click("#forget")
    _until(again, "document.querySelectorAll('.history img').length === 0")
    assert _strange(said) == []
    assert [w for w in _strange(words) if "ERR_INTERNET" not in w and "ERR_FAILED" not in w] == []
    assert {u for u in asked if not u.startswith((url, "blob:" + url, "data:"))} == set()
    context.close()


def _says_what_python_says(page, opened, answer):
    """Class, probabilities and warnings of the page against ``bedside predict``'s."""
    classes = opened.manifest.task.classes
    said = page.get_attribute("#result", "data-predicted")
    assert page.get_by_text("Not good enough for use").count() == 1
    limit = opened.familiarity.limit
    # The limit is the distance of a validation image: there rounding decides.
    if abs(answer.distance - limit) < 1e-4 * limit:
        return
    if answer.withheld:
        assert said == "withheld"
        assert page.locator("#result .classes").count() == 0
        assert "No answer" in page.inner_text("#verdict")
        return
    assert classes[int(said)] == answer.predicted
    shown = [float(t.rstrip("%")) for t in page.locator("#result .classes dd").all_inner_texts()]
    assert shown == pytest.approx([100 * p for p in answer.probabilities.values()], abs=0.06)
    unlike = page.locator("#result .note.bad").count()
    faults = page.evaluate("document.querySelector('[data-faults]')?.dataset.faults ?? ''").split()
    assert unlike + len(faults) == len(answer.warnings)
    assert (unlike == 1) == (answer.familiar is False)


def test_the_validation_images_get_the_class_that_python_gives(browser, site, made, tmp_path):
    """The whole validation set of the run, from files; on BUSI: docs/proof/web-agreement.json."""
    run = made / "run"
    opened = open_bundle(made / "model.zip", keys([made / "keys" / "bedside.pub"]))
    context = browser.new_context()
    page, _, _ = _watched(context)
    page.goto(site[0])
    _ready(page)
    ids = [c.id for c in stored.cases(run) if c.split == "val"]
    assert len(ids) == 10
    with stored.pixel_store(run, opened.manifest.preprocess) as store:
        for name in ids:
            Image.fromarray(store.pixels(name)[..., 0]).save(tmp_path / f"{name}.png")
    with Device(opened) as device:
        for name in ids:
            answer, raw = device.image((tmp_path / f"{name}.png").read_bytes(), name)
            np.testing.assert_allclose(_answer(page, tmp_path / f"{name}.png"), raw.logits,
                                       atol=1e-4)
            _says_what_python_says(page, opened, answer)
    context.close()


def test_a_browser_without_relaxed_simd_still_answers(browser, site, scans, made):
    """As Safari: there is another build of the engine for it, with one thread."""
    context = browser.new_context()
    context.add_init_script("const real = WebAssembly.validate;"
                            "WebAssembly.validate = (b) => b.length === 36 ? false : real(b);")
    page, _, asked = _watched(context)
    page.goto(site[0])
    _ready(page)
    with Device(open_bundle(made / "model.zip", keys([made / "keys" / "bedside.pub"]))) as device:
        wanted = device.image(scans[0].read_bytes(), "x")[0].logits
    np.testing.assert_allclose(_answer(page, scans[0]), wanted, atol=1e-4)
    assert any("litert_wasm_compat_internal.wasm" in u for u in asked)
    assert not any("threaded" in u for u in asked)
    assert "one thread" in page.inner_text("#runs-on")
    context.close()


def test_a_picture_from_the_camera(browser, site):
    context = browser.new_context()
    page, said, _ = _watched(context)
    page.goto(site[0])
    _ready(page)
    page.click("#camera")
    _until(page, "document.querySelector('video')?.videoWidth > 0")
    page.click("#take")
    page.wait_for_selector("#verdict", timeout=20_000)
    assert page.locator("video").count() == 0
    assert _strange(said) == []
    context.close()


def test_the_camera_is_on_once_at_most_and_off_when_a_file_is_chosen(browser, site, scans):
    context = browser.new_context()
    context.add_init_script("""const media = navigator.mediaDevices, tracks = window.tracks = [];
        const ask = media.getUserMedia.bind(media);
        media.getUserMedia = async (what) => {
          const stream = await ask(what);
          tracks.push(...stream.getTracks());
          return stream;
        };
        window.live = () => tracks.filter((t) => t.readyState === 'live').length;""")
    page, said, _ = _watched(context)
    page.goto(site[0])
    _ready(page)
    _until(page, "crossOriginIsolated")
    _ready(page)
    # Twice in one go, before the first request is answered, and once more.
    page.evaluate("for (const _ of 'ab') document.querySelector('#camera').click()")
    _until(page, "tracks.length === 2 && document.querySelector('video')")
    assert page.evaluate("live()") == 1
    page.click("#camera")
    _until(page, "tracks.length === 3 && document.querySelectorAll('video').length === 1")
    assert page.evaluate("live()") == 1
    _answer(page, scans[0])
    assert page.evaluate("live()") == 0 and page.locator("video").count() == 0
    # A file chosen while the camera is asked for.
    page.evaluate("document.querySelector('#camera').click()")
    _answer(page, scans[1])
    _until(page, "tracks.length === 4 && live() === 0")
    assert page.locator("video").count() == 0
    assert _strange(said) == []
    context.close()


# Holds back decoding and runs until the test releases them, or lets a run fail.
_HELD = """
const held = window.held = {decode: [], run: [], hold: ""};
const decode = window.createImageBitmap.bind(window), post = Worker.prototype.postMessage;
window.createImageBitmap = async (...given) => {
  if (held.hold === "decode") await new Promise((go) => held.decode.push(go));
  return decode(...given);
};
Worker.prototype.postMessage = function (message, ...more) {
  const go = () => post.call(this, message, ...more);
  const fail = () => this.onmessage({data: {id: message.id, ok: false, error: "made up"}});
  if (held.hold === "run" && message.do === "run") held.run.push({go, fail});
  else go();
};
"""


@pytest.fixture
def held(browser, site, tmp_path):
    """A page whose decoding and runs can be held, and a JPEG of 30 x 20 pixels."""
    context = browser.new_context()
    context.add_init_script(_HELD)
    page, said, _ = _watched(context)
    page.goto(site[0])
    _ready(page)
    # A worker that takes over isolates the page by loading it anew.
    _until(page, "crossOriginIsolated")
    _ready(page)
    photo = tmp_path / "photo.jpg"
    noise = np.random.default_rng(7).integers(0, 255, (20, 30), dtype=np.uint8)
    Image.fromarray(noise).save(photo)
    yield page, photo
    assert _strange(said) == []
    context.close()


def _shown(page):
    return page.evaluate("""[document.querySelector('canvas').width,
        document.querySelector('#verdict')?.textContent ?? '',
        document.querySelector('#problems').textContent]""")


@pytest.mark.parametrize("whole", [True, False], ids=["decodes", "damaged"])
def test_a_picture_that_decodes_slowly_does_not_replace_a_later_one(held, scans, whole):
    page, photo = held
    if not whole:
        photo.write_bytes(photo.read_bytes()[:300] + b"\xff\xd9")
    _hold(page, "decode")
    page.set_input_files("#file", photo)
    _until(page, "held.decode.length === 1")
    _answer(page, scans[0])
    before = _shown(page)
    page.evaluate("held.decode.forEach((go) => go())")
    page.wait_for_timeout(500)
    assert _shown(page) == before and before[0] != 30 and before[2] == ""


@pytest.mark.parametrize("kind", ["corrupt", "text", "empty", "large"])
def test_a_file_that_cannot_be_read_leaves_nothing_of_the_picture_before(
        held, scans, tmp_path, kind):
    page, photo = held
    page.set_viewport_size({"width": 390, "height": 600})
    _answer(page, scans[0])
    png = scans[0].read_bytes()
    contents = {"corrupt": png[:200], "text": b"no picture", "empty": b"",
                "large": png[:16] + b"\0\0\x40\0" * 2 + png[24:]}
    (tmp_path / "bad.png").write_bytes(contents[kind])
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.set_input_files("#file", tmp_path / "bad.png")
    page.wait_for_selector("#problems .bad")
    assert _shown(page)[1] == "" and page.locator("#result .classes").count() == 0
    assert not page.is_visible(".stage") and not page.is_visible("#overlay")
    # What was scrolled into view stays there once the page has settled.
    _until(page, """(({top, bottom}) => top > -1 && bottom < 601)(
        document.querySelector('#problems').getBoundingClientRect())""")
    _answer(page, photo)
    assert _shown(page)[0] == 30 and _shown(page)[2] == ""
    assert page.is_visible(".stage")


def test_while_a_picture_decodes_the_one_before_is_not_shown(held, scans):
    page, photo = held
    _answer(page, scans[0])
    _hold(page, "decode")
    page.set_input_files("#file", photo)
    _until(page, "held.decode.length === 1")
    assert page.inner_text("#result") == "Calculating …" and not page.is_visible(".stage")
    page.evaluate("held.decode.forEach((go) => go())")
    page.wait_for_selector("#result[data-logits] #verdict")


# An entry as versions before kept them: without the warnings.
_OLD_ENTRY = """new Promise((done) => {
  const asked = indexedDB.open('bedside', 1);
  asked.onsuccess = () => {
    const put = asked.result.transaction('history', 'readwrite').objectStore('history').add(
      {when: 1, name: 'old.png', model: 'm', predicted: 'benign', probability: 0.9,
       threshold: 0.5, thumbnail: new Blob()});
    put.onsuccess = () => { asked.result.close(); done(true); };
  };
})"""


def test_the_history_keeps_the_warnings(held, tmp_path):
    page, _ = held
    Image.fromarray(np.full((50, 60), 255, np.uint8)).save(tmp_path / "white.png")
    _answer(page, tmp_path / "white.png")
    said = page.locator("#result .note:not(.floor)").all_inner_texts()
    assert page.locator("#result .note.floor").count() == 1
    assert len(said) == 2 and said[1].startswith("The image is brighter")
    assert page.locator(".verdict.calm").count() == 0
    _until(page, "document.querySelectorAll('.history img').length === 1")
    assert page.locator(".history .warned").all_inner_texts() == said
    assert page.evaluate(_OLD_ENTRY)
    page.reload()
    _until(page, "document.querySelectorAll('.history img').length === 2")
    assert page.locator(".history li:has-text('old.png') .warned").count() == 0
    assert page.locator(".history .warned").all_inner_texts() == said


def test_the_history_fits_a_phone(held, scans):
    page, _ = held
    page.set_viewport_size({"width": 360, "height": 700})
    wide = "(e => e.getBoundingClientRect().width)(document.querySelector('{}'))"
    # The empty list's line is a line, not the column of the thumbnails.
    assert page.evaluate(wide.format(".history li.soft")) > 250
    assert page.evaluate("""(() => { const range = document.createRange();
        range.selectNodeContents(document.querySelector('.history li.soft'));
        return range.getClientRects().length; })()""") == 1
    page.set_input_files("#file", {"name": "ultrasound-of-the-left-breast-2026-11-28-0003.png",
                                   "mimeType": "image/png", "buffer": scans[0].read_bytes()})
    _until(page, "document.querySelectorAll('.history img').length === 1")
    assert page.evaluate(wide.format(".history li > div")) > 190
    # An answered entry has its figure below; what was withheld has none.
    assert page.evaluate(_OLD_ENTRY)
    page.reload()
    _until(page, "document.querySelectorAll('.history img').length === 2")
    below, text = page.evaluate("""['span', 'div'].map((e) => document.querySelector(
        `.history li:has(span) > ${e}`).getBoundingClientRect())""")
    assert below["top"] >= text["bottom"] and below["left"] == text["left"]


@pytest.mark.parametrize("end", ["go", "fail"])
def test_a_run_that_ends_late_does_not_replace_a_later_answer(held, scans, end):
    page = _run_under_way(held)
    _answer(page, scans[0])
    before = _shown(page)
    page.evaluate(f"held.run[0].{end}()")
    page.wait_for_timeout(300)
    assert _shown(page) == before and before[1] and before[2] == ""


def test_a_run_under_way_fails_no_answer_of_the_next_model(held, made, tmp_path):
    page = _run_under_way(held)
    (tmp_path / "next.zip").write_bytes(
        make_bundle(made / "run", VARIANT, made / "keys" / "bedside.key", name="next"))
    page.set_input_files("#bundle-file", tmp_path / "next.zip")
    page.wait_for_selector("#verdict", timeout=60_000)
    before = _shown(page)
    assert page.evaluate("document.querySelector('#model').selectedOptions[0].text") == "next@cpu"
    page.evaluate("held.run[0].go()")
    page.wait_for_timeout(300)
    assert _shown(page) == before and before[0] == 30 and before[2] == ""


def test_a_jpeg_is_turned_by_exif_alone_as_in_python(held):
    page, photo = held
    with Image.open(photo) as image:
        image.load()
    exif, xmp = Image.Exif(), b'<rdf:Description tiff:Orientation="6"/>'
    exif[0x0112] = 6
    for name, said in (("xmp", {"xmp": xmp}), ("exif", {"exif": exif})):
        image.save(photo.with_name(f"{name}.jpg"), **said)
        _answer(page, photo.with_name(f"{name}.jpg"))
        assert _shown(page)[0] == decode(photo.with_name(f"{name}.jpg")).shape[1]
    assert _shown(page)[0] == 20


def _run_under_way(held):
    """A page whose first calculation ends when the test lets it; those after it run freely."""
    page, photo = held
    _hold(page, "run")
    page.set_input_files("#file", photo)
    _until(page, "held.run.length === 1")
    _hold(page, "")
    return page


def _hold(page, what):
    page.evaluate(f"held.hold = '{what}'")


@pytest.mark.parametrize("where", ["body", "seal", "name", "end"])
def test_one_flipped_bit_is_refused(browser, site, made, tmp_path, where):
    data = bytearray((made / "model.zip").read_bytes())
    at = {"body": len(data) // 2, "seal": data.index(b"manifest.sig") + 50,
          "name": data.index(b"model-card.md"), "end": len(data) - 5}[where]
    data[at] ^= 4
    (tmp_path / "changed.zip").write_bytes(data)
    context = browser.new_context()
    page, _, _ = _watched(context)
    page.goto(site[0])
    page.wait_for_selector("#state p")
    _ready(page)
    before = page.locator("#model option").count()
    page.set_input_files("#bundle-file", tmp_path / "changed.zip")
    page.wait_for_selector("#problems .bad")
    assert page.locator("#model option").count() == before
    context.close()


def test_an_unknown_signer_and_an_unsigned_bundle_are_refused(
        browser, site, made, tmp_path):
    private, _, name = signing.keygen(tmp_path / "other")
    (tmp_path / "stranger.zip").write_bytes(make_bundle(made / "run", VARIANT, private))
    (tmp_path / "unsigned.zip").write_bytes(make_bundle(made / "run", VARIANT))
    context = browser.new_context()
    page, _, _ = _watched(context)
    page.goto(site[0])
    _ready(page)
    for file, words in (("stranger", name), ("unsigned", "not signed")):
        page.set_input_files("#bundle-file", tmp_path / f"{file}.zip")
        page.wait_for_selector(f"#problems .bad:has-text('{words}')")
    context.close()


def test_a_build_that_fails_its_self_test_gives_no_answer(browser, made, tmp_path, scans):
    data = make_bundle(made / "run", VARIANT, shift=0.1)
    (tmp_path / "strict.zip").write_bytes(data)
    export.export([tmp_path / "strict.zip"], tmp_path / "site")
    from fastapi import FastAPI

    from bedside.services.app.server import app_router

    opened, trusted = export.open_for_app([tmp_path / "strict.zip"], [])
    api = FastAPI()
    api.include_router(app_router(opened, trusted))
    with serving(api) as url:
        context = browser.new_context()
        page, _, _ = _watched(context)
        page.goto(url)
        page.wait_for_selector("#problems:has-text('self-test failed')", timeout=30_000)
        page.set_input_files("#file", scans[0])
        page.wait_for_timeout(300)
        assert page.locator("#verdict").count() == 0
        assert "failed its self-test" in page.inner_text("#state")
        context.close()


def test_a_change_to_a_model_that_fails_its_self_test_says_so_and_takes_the_answer_away(
        held, made, tmp_path, scans):
    page, _ = held
    _answer(page, scans[0])
    (tmp_path / "strict.zip").write_bytes(make_bundle(
        made / "run", VARIANT, made / "keys" / "bedside.key", shift=0.1, name="strict"))
    page.set_input_files("#bundle-file", tmp_path / "strict.zip")
    page.wait_for_selector("#state #failed", timeout=30_000)
    assert "Testing" not in page.inner_text("#state")
    assert "self-test failed" in page.inner_text("#problems")
    assert _shown(page)[1] == "" and page.locator("#result .classes").count() == 0
    # The first model answers again.
    page.select_option("#model", index=0)
    page.wait_for_selector("#verdict", timeout=60_000)
    assert page.locator("#failed").count() == 0 and _shown(page)[2] == ""


@pytest.fixture
def two_models(made, tmp_path):
    """An app with two models, the first of which the server then holds damaged, and its server."""
    for name in ("first", "second"):
        (tmp_path / f"{name}.zip").write_bytes(make_bundle(
            made / "run", VARIANT, made / "keys" / "bedside.key", name=name))
    _command("web", tmp_path / "first.zip", tmp_path / "second.zip", "--trust",
             made / "keys" / "bedside.pub", "--out", tmp_path / "site")
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_Quiet, directory=tmp_path / "site"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    first = json.loads((tmp_path / "site" / "app.json").read_text())["bundles"][0]
    yield f"http://127.0.0.1:{server.server_port}/", tmp_path / "site" / first, server
    server.shutdown()
    server.server_close()


def _damage(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def test_a_model_that_is_refused_at_the_start_is_not_replaced_in_silence(
        browser, two_models, scans):
    url, first, _ = two_models
    _damage(first)
    context = browser.new_context()
    page, _, _ = _watched(context)
    page.goto(url)
    _ready(page)
    _until(page, "crossOriginIsolated")
    _ready(page)
    assert page.locator("#model option").all_inner_texts() == ["second@cpu"]
    _answer(page, scans[0])
    text = page.inner_text("#start-faults")
    assert page.is_visible("#start-faults .bad") and first.name in text and "damaged" in text
    context.close()


def test_a_damaged_download_leaves_the_copy_that_works_offline(browser, two_models, scans):
    url, first, server = two_models
    context = browser.new_context()
    page, _, _ = _watched(context)
    page.goto(url)
    _ready(page)
    # A worker that takes over isolates the page by loading it anew.
    _until(page, "crossOriginIsolated")
    _ready(page)
    _until(page, "document.querySelector('#offline').textContent.includes('offline')")
    _damage(first)
    (first.parents[1] / "app.json").write_text('{"bundles": [')
    page.reload()
    _ready(page)
    assert page.locator("#model option").all_inner_texts() == ["first@cpu", "second@cpu"]
    text = page.inner_text("#start-faults")
    assert first.name in text and text.count("The copy of an earlier visit is used") == 2
    server.shutdown()
    server.server_close()
    context.set_offline(True)
    page.reload()
    _ready(page)
    assert page.locator("#model option").all_inner_texts() == ["first@cpu", "second@cpu"]
    assert page.inner_text("#start-faults") == ""
    _answer(page, scans[0])
    context.close()


def test_webgpu_passes_the_self_test(play, site):
    chromium = play.chromium.launch(executable_path=CHROMIUM, args=[*ARGS, *GPU_ARGS])
    page = chromium.new_page()
    page.goto(site[0])
    page.wait_for_selector("#candidates li:has-text('WebGPU')", timeout=90_000,
                           state="attached")
    text = page.eval_on_selector("#candidates", "e => e.textContent")
    assert "WebGPU): " in text and text.count("self-test passed") == 2, text
    chromium.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_access_and_fit(browser, site, scans, scheme, width):
    # The policy forbids foreign scripts, axe's too; it is lifted for axe alone.
    context = browser.new_context(color_scheme=scheme, bypass_csp=True,
                                  viewport={"width": width, "height": 844})
    page, _, _ = _watched(context)
    page.goto(site[0])
    _ready(page)
    _answer(page, scans[0])
    page.click("details summary")
    page.add_script_tag(path=AXE)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    bad = [(v["id"], v["nodes"][0]["html"]) for v in found["violations"]
           if v["impact"] in ("serious", "critical")]
    assert bad == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    context.close()


def test_the_keyboard_alone_is_enough(browser, site):
    context = browser.new_context()
    page, _, _ = _watched(context)
    page.goto(site[0])
    _ready(page)
    reached = set()
    for _ in range(15):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
    assert {"choose", "camera", "model", "add", "theme", "forget", "keep"} <= reached
    context.close()


def test_forty_hostile_names_do_not_fire(browser, made, tmp_path, scans):
    """As class names, model names and file names, four to a bundle."""
    payloads = [p for p in PAYLOADS if "\x00" not in p]
    assert len(PAYLOADS) == 40
    for i in range(0, len(payloads), 4):
        four = [f"{p} {n}" for n, p in enumerate(payloads[i:i + 4])]
        four += ["x"] * (4 - len(four))
        (tmp_path / f"{i}.zip").write_bytes(
            make_bundle(made / "run", VARIANT, classes=four[:2], name=four[2]))
    bundles = sorted(tmp_path.glob("*.zip"))
    export.export(bundles, tmp_path / "site")
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_Quiet, directory=tmp_path / "site"))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/"
    context = browser.new_context()
    page, said, asked = _watched(context)
    page.goto(url)
    _ready(page)
    ids = page.eval_on_selector_all("#model option", "all => all.map(o => o.value)")
    assert len(ids) == len(bundles)
    for n, bundle in enumerate(ids):
        page.select_option("#model", bundle)
        _ready(page)
        name = payloads[n].replace("/", "_")[:80] + ".png"
        page.set_input_files("#file", {"name": name, "mimeType": "image/png",
                                       "buffer": scans[0].read_bytes()})
        _until(page, f"document.querySelectorAll('.history img').length === {n + 1}")
    assert _strange(said) == []
    assert [u for u in asked if not u.startswith((url, "blob:" + url, "data:"))] == []
    context.close()
    server.shutdown()
    server.server_close()


def test_our_own_script_and_style_stay_small():
    import gzip

    folder = files.app_dir()
    own = [*folder.glob("assets/*"), folder / "sw.js", folder / "index.html", folder / "lab.html"]
    size = sum(len(gzip.compress(p.read_bytes())) for p in own)
    assert size <= 250_000
