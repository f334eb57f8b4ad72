"""The device lab in real headless Chromium, over HTTPS by the lab's own authority, with cuts."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from app_fixture import ARGS, CHROMIUM, GPU_ARGS
from playwright.sync_api import Error, sync_playwright

from bedside.core import codec
from bedside.core.build import Variant
from bedside.core.study import EvaluateConfig, ModelConfig, Study
from bedside.figures import processors
from bedside.runfolder import artefact, latency, layout, stored
from bedside.runtime.litert import LOGITS, LiteRTModel
from bedside.services.lab import certificates
from bedside.services.lab.session import BATCH

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"
ROUNDS, SAMPLES = 3, 4
VARIANTS = ("resnet34-float32", "resnet34-int8")

pytestmark = pytest.mark.xdist_group("browser")


@pytest.fixture(scope="module")
def run(tiny_quantized, tmp_path_factory):
    """The tiny run with two variants and a short latency rule."""
    copy = tmp_path_factory.mktemp("lab") / "run"
    shutil.copytree(tiny_quantized, copy)
    for folder in (*copy.glob("variants/*"), *copy.glob("builds"), *copy.glob("measurements")):
        if folder.name not in VARIANTS:
            shutil.rmtree(folder)
    study = replace(Study(evaluate=EvaluateConfig(rounds=ROUNDS, warmup=1, samples=SAMPLES)),
                    models=(ModelConfig("resnet34", image_px=32, width=0.125),))
    artefact.write_text(layout.study_file(copy), codec.to_toml(study))
    return copy


def _free_port():
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


class Workbench:
    """``bedside lab`` as a person starts it, which a test may kill and start again."""

    def __init__(self, run: Path, home: Path, *flags: str, address: str = "127.0.0.1") -> None:
        self.port = _free_port()
        self.command = [sys.executable, "-m", "bedside", "lab", str(run), "--port",
                        str(self.port), "--address", address, *flags]
        self.address = address
        self.env = {**os.environ, "XDG_DATA_HOME": str(home), "PYTHONUNBUFFERED": "1"}
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, env=self.env, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("phones: "):
                self.url = line.removeprefix("phones: ").strip()
            if line.startswith("images: "):
                break
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port + 1)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("the lab did not start")

    def secure_url(self) -> str:
        return self.url.replace(f"http://{self.address}:{self.port}",
                                f"https://{self.address}:{self.port + 1}")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def play():
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(play, home):
    """A Chromium that trusts one authority more: the lab's, as a person would install it."""
    authority = certificates.certificates(["127.0.0.1"], home / "bedside" / "lab").authority
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    database = f"sql:{store}"
    for arguments in (["-N", "--empty-password"],
                      ["-A", "-t", "C,,", "-n", "lab", "-i", str(authority)]):
        subprocess.run(["certutil", "-d", database, *arguments], check=True)
    chromium = play.chromium.launch(executable_path=CHROMIUM, args=[*ARGS, *GPU_ARGS],
                                    env={**os.environ, "HOME": str(home)})
    yield chromium
    chromium.close()


def _until(page, expression, seconds=120):
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, (expression, page.inner_text("body"))
        page.wait_for_timeout(50)


def _text(selector):
    return f"(document.querySelector('{selector}')?.textContent ?? '')"


def _kept(page):
    """What the page left on the device."""
    return page.evaluate("""async () => ({
        local: {...localStorage}, session: {...sessionStorage}, caches: await caches.keys(),
        databases: await Promise.all((await indexedDB.databases()).map(({name}) =>
          new Promise((done) => { const r = indexedDB.open(name); r.onsuccess = () => {
            const db = r.result, names = [...db.objectStoreNames];
            const all = db.transaction(names).objectStore(names[0]).count();
            all.onsuccess = () => done([name, all.result]); }; })))})""")


def test_a_round_trip_with_the_connection_cut_loses_nothing(browser, run, home):
    """Offline while it measures; the workbench killed while it fetches images; started anew."""
    lab = Workbench(run, home, "--share-images")
    context = browser.new_context()
    page = context.new_page()
    sent, said = {}, []
    page.on("console", lambda m: said.append(m.text))
    page.on("pageerror", lambda e: said.append(f"error {e}"))
    page.on("response", lambda r: sent.setdefault(r.url.partition("/lab/api/")[2], r)
            if "/lab/api/" in r.url and r.ok else None)
    try:
        page.goto(lab.secure_url())
        page.wait_for_selector("#start")
        # What the lab's authority gives a page: threads, the camera, WebGPU.
        assert page.evaluate("isSecureContext && crossOriginIsolated && !!navigator.gpu"
                             " && !!navigator.mediaDevices")
        page.fill("#name", "Test phone")
        bench = context.new_page()
        bench.goto(f"http://127.0.0.1:{lab.port}/workbench")
        assert "None yet" in bench.inner_text("#device-list")
        assert not page.is_checked("#consent"), "the holder's side of the consent is empty at first"
        page.check("#consent")
        page.click("#start")
        _until(bench, f"{_text('#device-list')}.includes('Test phone')")
        bench.close()
        # Cut while it measures: it goes on, and the results wait on the device.
        _until(page, f"{_text('#step')}.startsWith('Round 1')")
        context.set_offline(True)
        _until(page, f"{_text('#step')}.startsWith('Accuracy')")
        _until(page, "!document.querySelector('#waiting').hidden")
        waiting = int(re.search(r"waiting on this device: (\d+)", page.inner_text("#waiting"))[1])
        assert waiting >= ROUNDS - 1, "rounds were measured without a connection"
        # Back, and at once the workbench itself goes and comes back with another code.
        context.set_offline(False)
        lab.kill()
        _until(page, "!document.querySelector('#lost').hidden")
        code = lab.url
        lab.start()
        assert lab.url != code
        _until(page, "document.querySelector('#done') || document.querySelector('#failed')", 240)
        assert page.locator("#failed").count() == 0, page.inner_text("body")
        assert page.locator("#lost").is_hidden()
        assert page.locator("#waiting").is_hidden()
        kept = _kept(page)
        plan = sent["plan"].json() if "plan" in sent else {}
    finally:
        lab.kill()
        context.close()
    # Erased afterwards: no image, no token, no result stays on the device.
    assert (kept["local"], kept["session"], kept["caches"]) == ({}, {}, [])
    assert kept["databases"] == [["bedside-lab", 0]]
    assert not [s for s in said if s.startswith("error ")]
    _nothing_but_pixels_left(run, sent, plan)
    _all_rows_stand(run)


def _nothing_but_pixels_left(run, sent, plan):
    """The requests for images name them by number; what is said of the study names no patient."""
    images = [k for k in sent if k.startswith("images/")]
    assert images
    assert all(re.fullmatch(r"images/\d+/\d+", k) for k in images)
    text = codec.to_json(plan)
    for case in stored.cases(run):
        assert case.id not in text
        assert case.file not in text
    assert "benign" not in text, "no label goes out"


def _all_rows_stand(run):
    rows = {(m.variant, m.machine["accelerator"]): m for m in stored.measurements(run)}
    assert {(v, "wasm") for v in VARIANTS} <= set(rows)
    assert {a for _, a in rows} == {"wasm", "webgpu"}
    for (variant, accelerator), row in rows.items():
        assert row.target.startswith("lab-test-phone-chrom")
        assert row.machine["device"] == "Test phone"
        assert re.match(r"(Chrome|Chromium|HeadlessChrome) \d+", row.machine["browser"])
        assert row.machine["context"] == "https"
        if row.status != "ok":
            assert accelerator == "webgpu"
            assert row.reason
            continue
        assert row.evidence == {"latency": "measured", "accuracy": "measured"}
        assert row.latency_ms is not None
        assert row.latency_ms.n == ROUNDS * SAMPLES, "no round was lost"
        folder = layout.measurement_dir(run, variant, row.target)
        samples = latency.read(folder / layout.LATENCY)
        assert np.bincount([r for r, _, _ in samples]).tolist() == [SAMPLES] * ROUNDS
        assert all(ms > 0 for _, _, ms in samples)
        _logits_are_pythons(run, variant, row)
    figure = processors.compute(run, "resnet34").facts["rows"]
    assert {(r["device"].partition(",")[0], r["unit"], r["evidence"]) for r in figure} >= {
        ("Test phone", "CPU", "measured"), ("Test phone", "GPU", "measured")}
    assert all(r["ratio"] is not None for r in figure)


def _logits_are_pythons(run, variant, row):
    found = stored.predictions(run, variant, row.target)
    cases = [c for c in stored.cases(run) if c.split in ("val", "test")]
    assert len(cases) < BATCH
    assert list(found.ids) == [c.id for c in cases]
    model = LiteRTModel(layout.variant_dir(run, variant) / "model.tflite")
    spec = codec.read_json(Variant, layout.variant_dir(run, variant) / layout.VARIANT).preprocess
    with stored.pixel_store(run, spec) as store:
        wanted = np.concatenate([model.run(store.tensor(c.id))[LOGITS] for c in cases])
    np.testing.assert_allclose(found.logits, wanted, atol=0.05 if "int8" in variant else 1e-3)



@pytest.mark.parametrize("width", [390, 1280])
def test_the_pages_of_the_lab_can_be_read_by_all(browser, run, home, width):
    """axe-core on the phone's page and the workbench's; the policy is lifted for axe alone."""
    lab = Workbench(run, home, "--share-images")
    context = browser.new_context(bypass_csp=True, viewport={"width": width, "height": 844})
    page = context.new_page()
    try:
        for url, there in ((lab.secure_url(), "#start"),
                           (f"http://127.0.0.1:{lab.port}/workbench", ".qr")):
            page.goto(url)
            page.wait_for_selector(there)
            page.add_script_tag(path=AXE)
            found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            assert [(v["id"], v["nodes"][0]["html"]) for v in found["violations"]
                    if v["impact"] in ("serious", "critical")] == []
            assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    finally:
        context.close()
        lab.kill()


def test_without_the_authority_the_browser_refuses_and_with_it_no_other_is_trusted(
        browser, run, home, tmp_path):
    """The same lab: this Chromium opens it, one that has not installed the authority does not."""
    lab = Workbench(run, home)
    stranger = Workbench(run, tmp_path)
    try:
        page = browser.new_page()
        page.goto(lab.secure_url())
        page.wait_for_selector("#start")
        with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
            page.goto(stranger.secure_url())
        page.close()
    finally:
        lab.kill()
        stranger.kill()


def test_over_plain_http_it_offers_the_certificate_or_one_labelled_thread(
        play, run, home, tmp_path):
    """By a .local name, so that the page is as insecure as on a phone."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "measurements", ignore_errors=True)
    shutil.rmtree(copy / "lab", ignore_errors=True)
    lab = Workbench(copy, home, "--only", VARIANTS[0], address="bedside.local")
    chromium = play.chromium.launch(
        executable_path=CHROMIUM, env={**os.environ, "HOME": str(home)},
        args=[*ARGS, "--host-resolver-rules=MAP bedside.local 127.0.0.1"])
    page = chromium.new_page()
    try:
        page.goto(lab.url)
        page.wait_for_selector("#certificate")
        assert page.evaluate("isSecureContext") is False
        fingerprint = certificates.certificates(["127.0.0.1"], home / "bedside" / "lab").fingerprint
        assert fingerprint in page.inner_text("body")
        with page.expect_download() as download:
            page.click("#certificate")
        assert download.value.suggested_filename == "bedside-lab.crt"
        page.click("#secure")
        page.wait_for_selector("#start")
        assert page.url.startswith(f"https://bedside.local:{lab.port + 1}/")
        assert page.evaluate("isSecureContext && crossOriginIsolated")
        page.goto("about:blank")
        page.goto(lab.url)
        page.click("#plain")
        page.fill("#name", "Plain phone")
        page.click("#start")
        _until(page, "document.querySelector('#done') || document.querySelector('#failed')")
        assert page.locator("#failed").count() == 0, page.inner_text("body")
    finally:
        chromium.close()
        lab.kill()
    (row,) = stored.measurements(copy)
    assert row.target.endswith("-cpu-http")
    assert row.machine["context"] == "plain http, one thread"
    assert row.latency_ms is not None
    assert row.latency_ms.threads == 1
    assert row.evidence == {"latency": "measured"}
    assert row.machine["inputs"] == "noise of the same size"
