"""The device lab's rules: keys, tokens, idempotent uploads, consent, measurements."""

from __future__ import annotations

import json
import re
import shutil
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace

import numpy as np
import pytest
from app_fixture import serving
from fastapi.testclient import TestClient

from bedside import schemes
from bedside.cli import serve
from bedside.core import codec
from bedside.core.errors import BadInput
from bedside.core.protocol import Opened
from bedside.core.study import EvaluateConfig, Study
from bedside.flows import protocol, study
from bedside.runfolder import artefact, layout, ledger, stored
from bedside.runfolder.cases import cases_to_csv
from bedside.services.lab import certificates
from bedside.services.lab import lab as lab_serving
from bedside.services.lab.plan import make_plan
from bedside.services.lab.server import Place, lab_app
from bedside.services.lab.session import Device, Lab, Refused, target_id
from bedside.stages import quantize

CODE = "the-code-of-this-lab"
PHONE = Device("Pixel 8", "Chrome 156", "Android 14", True, 8, ("wasm", "webgpu"), "arm")


@pytest.fixture
def run(tiny_run, tmp_path):
    """The tiny run with one variant and a short latency rule."""
    quantize.quantize(tiny_run, "resnet34", schemes.parse("float32"), None, None)
    copy = tmp_path / "run"
    shutil.copytree(tiny_run, copy)
    # Other tests may have left variants and measurements in the shared run.
    for folder in (*copy.glob("variants/*"), *copy.glob("builds"), *copy.glob("measurements")):
        if folder.name != "resnet34-float32":
            shutil.rmtree(folder)
    study = Study(evaluate=EvaluateConfig(rounds=2, warmup=1, samples=3))
    from bedside.core.study import ModelConfig

    study = replace(study, models=(ModelConfig("resnet34", image_px=32, width=0.125),))
    artefact.write_text(layout.study_file(copy), codec.to_toml(study))
    return copy


def _all(lab, session, images):
    """Everything a phone uploads: one cell that works, one that does not."""
    plan = lab.plan
    parts = {"cell-0-wasm": {"status": "ok", "reason": None},
             "cell-0-webgpu": {"status": "unsupported", "reason": "an operation is missing"},
             "time-0-wasm-0": {"ms": [1.0, 2.0, 3.0]}, "time-0-wasm-1": {"ms": [4.0, 5.0, 9.0]}}
    if images:
        labels = [plan.variants[0].task.classes.index(c.label) for c in plan.cases]
        parts["logits-0-wasm-0"] = {"logits": [[0.0, 1.0] if k else [1.0, 0.0] for k in labels]}
    return parts


def test_a_phone_that_predicts_test_images_opens_the_test_set(run):
    protocol.before_opening(run, study.load(run))
    lab = Lab(make_plan(run, share_images=True))
    session, token = lab.join(PHONE, True)
    for key, value in _all(lab, session, True).items():
        lab.put(lab.by_token(token), key, value)
    (name, _) = lab.finish(lab.by_token(token))
    (entry,) = [o for _, o in ledger.of(ledger.read(run), Opened)]
    path = run / "measurements" / name / layout.PREDICTIONS
    assert (entry.stage, entry.subject) == ("lab", name)
    assert entry.test_images == sum(c.split == "test" for c in stored.cases(run))
    assert entry.predictions == {name: artefact.sha256_file(path)}
    facts = artefact.record(path.parent, "evaluate").facts
    assert facts == {"protocol": artefact.sha256_file(layout.protocol_file(run))}


def test_a_phone_becomes_measured_rows(run):
    lab = Lab(make_plan(run, share_images=True))
    session, token = lab.join(PHONE, True)
    assert token not in (run / "lab" / session.id / "session.json").read_text()
    for key, value in _all(lab, session, True).items():
        assert lab.put(lab.by_token(token), key, value)
        assert not lab.put(lab.by_token(token), key, value), "the same upload again changes nothing"
    names = lab.finish(lab.by_token(token))
    assert names == ("resnet34-float32@lab-pixel-8-chrome-156-cpu",
                     "resnet34-float32@lab-pixel-8-chrome-156-webgpu")
    assert lab.finish(lab.by_token(token)) == names
    cpu, gpu = stored.measurements(run)
    assert cpu.evidence == {"latency": "measured", "accuracy": "measured"}
    assert (cpu.latency_ms.median, cpu.latency_ms.n, cpu.latency_ms.threads) == (3.5, 6, 8)
    assert cpu.metrics["test"]["accuracy"].value == 1.0
    assert (gpu.status, gpu.reason, gpu.metrics) == ("unsupported", "an operation is missing", {})
    assert stored.predictions(run, cpu.variant, cpu.target).logits.shape == (20, 2)


def test_images_with_text_in_their_pixels_stay_on_the_workbench(run):
    cases = stored.cases(run)
    tested = [c for c in cases if c.split in ("val", "test")]
    named = {tested[0].id, tested[-1].id}
    task = codec.to_json(stored.task(run))

    def flag(which):
        (run / "data" / "manifest.json").unlink()
        with artefact.writing(layout.data_dir(run), "data", "flagged") as scratch:
            artefact.write_text(scratch / layout.CASES, cases_to_csv(
                [replace(c, flags=("calipers", "text") if c.id in which else ("calipers",))
                 for c in cases]))
            artefact.write_text(scratch / layout.TASK, task)

    flag(named)
    plan = make_plan(run, share_images=True)
    assert {c.id for c in tested} - {c.id for c in plan.cases} == named
    assert plan.held_back == 2
    lab = Lab(plan)
    session, token = lab.join(PHONE, True)
    for key, value in _all(lab, session, True).items():
        lab.put(lab.by_token(token), key, value)
    lab.finish(lab.by_token(token))
    cpu = stored.measurements(run)[0]
    assert (cpu.images, cpu.images_total) == (len(tested) - 2, len(tested))
    assert not named & set(stored.predictions(run, cpu.variant, cpu.target).ids)
    flag({c.id for c in cases})
    with pytest.raises(BadInput, match="none may leave"):
        make_plan(run, share_images=True)
    assert make_plan(run, share_images=False).cases == ()


def test_images_of_one_patient_are_not_independent(run):
    def accuracy():
        lab = Lab(make_plan(run, share_images=True))
        session, token = lab.join(PHONE, True)
        for key, value in _all(lab, session, True).items():
            lab.put(lab.by_token(token), key, value)
        lab.finish(lab.by_token(token))
        return next(m for m in stored.measurements(run) if m.metrics).metrics["test"]["accuracy"]

    alone, cases, task = accuracy(), stored.cases(run), codec.to_json(stored.task(run))
    (run / "data" / "manifest.json").unlink()
    with artefact.writing(layout.data_dir(run), "data", "grouped") as scratch:
        artefact.write_text(scratch / layout.CASES, cases_to_csv(
            [replace(c, group=f"p{i % 4}") for i, c in enumerate(cases)]))
        artefact.write_text(scratch / layout.TASK, task)
    together = accuracy()
    assert (together.value, together.n) == (alone.value, alone.n)
    assert together.low < alone.low


def test_a_used_token_takes_nothing_more(run):
    lab = Lab(make_plan(run, share_images=False))
    session, token = lab.join(PHONE, True)
    assert not session.images, "the workbench did not consent"
    for key, value in _all(lab, session, False).items():
        lab.put(lab.by_token(token), key, value)
    lab.finish(lab.by_token(token))
    with pytest.raises(Refused, match="used up") as refused:
        lab.put(lab.by_token(token), "time-0-wasm-0", {"ms": [1.0, 1.0, 1.0]})
    assert refused.value.status == 410
    cpu = stored.measurements(run)[0]
    assert cpu.evidence == {"latency": "measured"} and cpu.metrics == {}
    assert cpu.machine["inputs"] == "noise of the same size"


def test_another_workbench_process_goes_on_where_the_first_was(run):
    lab = Lab(make_plan(run, share_images=False))
    session, token = lab.join(PHONE, False)
    lab.put(session, "cell-0-wasm", {"status": "ok", "reason": None})
    again = Lab(make_plan(run, share_images=False))
    assert set(again.by_token(token).chunks) == {"cell-0-wasm"}
    with pytest.raises(Refused, match="uploads are missing"):
        again.finish(again.by_token(token))
    assert stored.measurements(run) == ()


def test_an_older_measurement_moves_to_the_history(run):
    lab = Lab(make_plan(run, share_images=False))
    for _ in range(2):
        session, token = lab.join(PHONE, False)
        for key, value in _all(lab, session, False).items():
            lab.put(lab.by_token(token), key, value)
        lab.finish(lab.by_token(token))
    shelf = run / "measurements" / ".history"
    assert sorted(p.name for p in shelf.iterdir()) == [
        "resnet34-float32@lab-pixel-8-chrome-156-cpu",
        "resnet34-float32@lab-pixel-8-chrome-156-webgpu"]


@pytest.mark.parametrize(("key", "value"), [
    ("cell-0-webnn", {"status": "ok", "reason": None}),
    ("cell-9-wasm", {"status": "ok", "reason": None}),
    ("cell-0-wasm", {"status": "splendid", "reason": None}),
    ("cell-0-wasm", {"status": "ok", "reason": None, "more": 1}),
    ("../../etc", {"ms": [1, 1, 1]}), ("time-0-wasm-0\n", {"ms": [1, 1, 1]}),
    ("time-0-wasm-2", {"ms": [1, 1, 1]}), ("time-0-wasm-0", {"ms": [1, 1]}),
    ("time-0-wasm-0", {"ms": [1, -1, 1]}), ("time-0-wasm-0", {"ms": [1, True, 1]}),
    ("time-0-wasm-0", {"ms": [1, float("inf"), 1]}), ("time-0-wasm-0", {"ms": None}),
    ("time-0-wasm-0", None), ("logits-0-wasm-0", {"logits": [[0.0, 1.0]]}),
    ("logits-0-wasm-7", {"logits": []})])
def test_uploads_that_cannot_be_right_are_refused(run, key, value):
    lab = Lab(make_plan(run, share_images=True))
    session, _ = lab.join(PHONE, True)
    with pytest.raises(Refused):
        lab.put(session, key, value)
    assert not (run / "lab" / session.id / "chunks").exists()


def test_the_same_key_with_other_contents_is_refused(run):
    lab = Lab(make_plan(run, share_images=False))
    session, token = lab.join(PHONE, False)
    lab.put(session, "time-0-wasm-0", {"ms": [1.0, 1.0, 1.0]})
    with pytest.raises(Refused, match="other contents"):
        lab.put(lab.by_token(token), "time-0-wasm-0", {"ms": [1.0, 1.0, 2.0]})


def test_target_names_carry_no_strange_letters():
    assert re.fullmatch(r"[a-z0-9-]+", target_id(
        replace(PHONE, name="../ <b>Élan", secure=False), "wasm"))
    assert target_id(replace(PHONE, secure=False), "wasm").endswith("-cpu-http")


@pytest.fixture
def client(run, monkeypatch):
    monkeypatch.setattr("bedside.services.lab.server.files.app_dir", lambda: run)
    monkeypatch.setattr("bedside.services.lab.server.files.names", lambda: ("assets/a.css",))
    place = Place("http://testserver", None, None, None, frozenset({"testserver"}))
    return TestClient(lab_app(make_plan(run, share_images=True), place, CODE))


def _join(client, code=CODE, images=True):
    phone = codec.encode(replace(PHONE, secure=False))
    return client.post("/lab/api/join", json={"code": code, "device": phone, "images": images},
                       headers={"Origin": "http://testserver"})


def test_over_http_images_need_both_sides_and_a_token(client):
    assert _join(client, "wrong").status_code == 403
    token = _join(client).json()["token"]
    signed = {"Authorization": f"Bearer {token}"}
    plan = client.get("/lab/api/plan", headers=signed).json()
    assert plan["images"] == 20 and len(plan["rounds"]) == 2
    assert "benign" not in json.dumps(plan), "no label goes out"
    image = client.get("/lab/api/images/0/3", headers=signed)
    assert len(image.content) == 32 * 32 and image.headers["x-dtype"] == "uint8"
    assert client.get("/lab/api/images/0/3").status_code == 401
    other = {"Authorization": f"Bearer {_join(client, images=False).json()['token']}"}
    assert client.get("/lab/api/images/0/3", headers=other).status_code == 403
    assert len(client.get("/lab/api/models/0", headers=signed).content) > 10_000


def test_the_command_publishes_only_while_it_holds_the_run(run, monkeypatch):
    """Another writer of the run: the phone is told to try again, and then gets through."""
    monkeypatch.setattr("bedside.services.lab.server.files.app_dir", lambda: run)
    monkeypatch.setattr("bedside.services.lab.server.files.names", lambda: ("assets/a.css",))
    started = []
    monkeypatch.setattr("bedside.services.lab.lab.serve", started.append)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    serve.lab(run, port, "127.0.0.1", http_only=True)
    [served] = started
    site = f"http://127.0.0.1:{port}"
    client = TestClient(served.app, base_url=site)
    joined = client.post("/lab/api/join", headers={"Origin": site}, json={
        "code": served.url.partition("#")[2], "device": codec.encode(PHONE), "images": False})
    signed = {"Authorization": f"Bearer {joined.json()['token']}", "Origin": site}
    for key, value in _all(Lab(make_plan(run, share_images=False)), None, False).items():
        assert client.put(f"/lab/api/uploads/{key}", headers=signed, json=value).json()["new"]
    with study.locked(run):
        refused = client.post("/lab/api/finish", headers=signed)
    assert (refused.status_code, "another bedside process" in refused.text) == (503, True)
    assert stored.measurements(run) == ()
    assert len(client.post("/lab/api/finish", headers=signed).json()["measurements"]) == 2
    assert len(stored.measurements(run)) == 2
    with study.locked(run):
        pass


@pytest.mark.parametrize("headers", [
    {"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}, {}])
def test_other_hosts_and_sites_change_nothing(client, run, headers):
    sent = client.post("/lab/api/join", json={"code": CODE, "device": codec.encode(PHONE)},
                       headers=headers)
    assert sent.status_code == 403
    assert not (run / "lab").exists()


def test_bad_bodies_are_refused(client):
    origin = {"Origin": "http://testserver"}
    for body in (b"", b"{", b"[]", b'{"code": 3}', b"\xff"):
        assert client.post("/lab/api/join", content=body, headers=origin).status_code in (400, 403)
    assert client.post("/lab/api/join", content=b"x" * (2 << 20),
                       headers=origin).status_code == 413


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/lab/api/nothing", 404), ("GET", "/lab/api/join", 405), ("GET", "/nowhere", 404),
    ("GET", "/lab/api/models/x", 400)])
def test_every_fault_is_told_in_the_same_form(client, method, path, status):
    told = client.request(method, path)
    assert told.status_code == status
    assert set(told.json()) == {"error"}
    assert isinstance(told.json()["error"], str)


def test_the_authority_is_kept_and_vouches_for_private_addresses_only(tmp_path):
    made = certificates.certificates(["192.168.1.20", "127.0.0.1", "localhost"], tmp_path)
    again = certificates.certificates(["192.168.1.21", "127.0.0.1"], tmp_path)
    assert made.fingerprint == again.fingerprint
    assert (tmp_path / "authority.key").stat().st_mode & 0o077 == 0
    with pytest.raises(BadInput, match="private network"):
        certificates.certificates(["8.8.8.8"], tmp_path)
    certificates.certificates(["bedside.local", "Ward-7.Local"], tmp_path)
    for name in ("nonsense", "example.org", "local", "a b.local", "-.local", "evil.local.org"):
        with pytest.raises(BadInput, match=r"neither an IP address nor a \.local name"):
            certificates.certificates([name], tmp_path)


def test_a_client_that_trusts_the_authority_gets_through(tmp_path):
    from fastapi import FastAPI

    made = certificates.certificates(["127.0.0.1"], tmp_path)
    api = FastAPI()
    api.get("/")(lambda: "hello")

    def ask(url, context):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}),
                                             urllib.request.HTTPSHandler(context=context))
        with opener.open(url, timeout=30) as answer:
            return json.load(answer)

    with serving(api, ssl_certfile=str(made.certificate), ssl_keyfile=str(made.key)) as url:
        assert ask(url, ssl.create_default_context(cafile=str(made.authority))) == "hello"
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            ask(url, ssl.create_default_context())


def test_rounds_are_interleaved_and_the_same_every_time(run):
    plan = make_plan(run, share_images=False)
    rounds = plan.rounds(("wasm", "webgpu"))
    assert rounds == plan.rounds(("wasm", "webgpu")) and len(rounds) == 2
    assert all(sorted(map(tuple, r)) == [(0, "wasm"), (0, "webgpu")] for r in rounds)
    assert np.unique([len(r) for r in rounds]).tolist() == [2]


@pytest.fixture
def lab_port(client, monkeypatch):
    """The lab's own server with short clocks."""
    monkeypatch.setattr("bedside.services.slow_clients.SlowClientProtocol.header_s", 0.5)
    monkeypatch.setattr(client.app, "_limits", replace(client.app._limits, body_s=0.5))
    place = Place("http://testserver", None, None, None, frozenset({"testserver"}))
    server = lab_serving.servers(lab_serving.Served("", "", place, client.app, (0, None), None))[0]
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(10)


def _sending(port, data):
    link = socket.create_connection(("127.0.0.1", port), timeout=10)
    link.sendall(data)
    return link


def test_clients_that_send_nothing_do_not_keep_the_others_out(lab_port):
    hello = b"GET /lab/api/place HTTP/1.1\r\nHost: testserver\r\nConnection: close\r\n\r\n"
    silent = [_sending(lab_port, b"GET /lab" if i % 2 else b"") for i in range(205)]
    assert b" 503 " in _sending(lab_port, hello).recv(4096)
    for link in silent:
        assert link.recv(4096) == b"", "no status, which a phone would take for a refusal"
    assert b" 200 " in _sending(lab_port, hello).recv(4096)


def test_an_upload_is_read_with_a_token_only_and_in_time(client, lab_port):
    head = (b"PUT /lab/api/uploads/cell-0-wasm HTTP/1.1\r\nHost: testserver\r\n"
            b"Origin: http://testserver\r\nContent-Length: 900000\r\n")
    assert b" 401 " in _sending(lab_port, head + b"\r\n{").recv(4096)
    assert b" 401 " in _sending(lab_port, head + b"Authorization: Bearer x\r\n\r\n{").recv(4096)
    token = _join(client).json()["token"].encode()
    begun = _sending(lab_port, head + b"Authorization: Bearer " + token + b"\r\n\r\n{")
    assert b" 503 " in begun.recv(4096)
