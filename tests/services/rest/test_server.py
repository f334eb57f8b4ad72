"""The server: answers as offline, and what attacks, floods and slow clients get."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
import time
from pathlib import Path

import device_fixture
import pytest
from device_fixture import png

from bedside.core.errors import BadInput, MissingComponent
from bedside.runtime.bundle import signing
from bedside.runtime.bundle.reader import open_bundle
from bedside.runtime.device import Device
from bedside.runtime.files import write_bytes
from bedside.services.app import files as app_files
from bedside.services.guard import Limits
from bedside.services.inference_queue import InferenceQueue
from bedside.services.rest.server import Settings, auditor, new_token, read_token, server

cells, keys, file = device_fixture.cells, device_fixture.keys, device_fixture.file
TOKEN = "a-token-of-more-than-twenty-characters"


class Running:
    """A server in a thread, with small limits."""

    def __init__(self, devices, files, **settings):
        self.line = InferenceQueue(devices, 4, 60.0)
        self.server = server(self.line, files, Settings(port=0, **settings))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        deadline = time.monotonic() + 30
        while not self.server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]

    def ask(self, method="GET", path="/health", body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        named = {k.replace("_", "-"): v for k, v in headers.items()}
        connection.request(method, path, body, named)
        reply = connection.getresponse()
        data = reply.read()
        connection.close()
        return reply.status, data, dict(reply.getheaders())

    def predict(self, image, query="", **headers):
        status, data, _ = self.ask("POST", f"/predict{query}", image,
                                   **{"Content_Type": "image/png", **headers})
        return status, json.loads(data)

    def socket(self, data):
        link = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        link.sendall(data)
        return link

    def stop(self):
        self.server.should_exit = True
        self.thread.join(20)
        assert not self.thread.is_alive()


@pytest.fixture(scope="module")
def bundle(file, keys):
    return open_bundle(file, {signing.read_public(keys[1])})


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("log") / "audit.jsonl"


@pytest.fixture(scope="module")
def running(bundle, file, log):
    with Device(bundle) as device:
        run = Running([device], [(bundle, file.read_bytes())], audit_log=log, header_s=1.0,
                      write_s=1.0,
                      limits=Limits(upload_bytes=300_000, held_bytes=900_000, body_s=1.0))
        yield run
        run.stop()


def test_every_answer_equals_the_offline_one(running, bundle):
    with Device(bundle) as offline:
        for seed in range(5):
            wanted, _ = offline.image(png(seed), "image")
            status, document = running.predict(png(seed))
            assert status == 200
            assert document["answers"][0]["logits"] == list(wanted.logits)
            assert document["answers"][0]["predicted"] == wanted.predicted
            assert document["answers"][0]["probabilities"] == wanted.probabilities
    status, document = running.predict(png(), f"?cam=true&bundle={bundle.id}")
    assert status == 200
    assert document["cam"]["shape"][2] == 2


def test_models_health_bundles_and_headers(running, bundle, file):
    status, data, headers = running.ask(path="/models")
    assert status == 200
    assert json.loads(data)["models"][0]["id"] == bundle.id
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-embedder-policy"] == "require-corp"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert json.loads(running.ask()[1])["status"] == "ok"
    assert running.ask(path=f"/bundles/{bundle.id}.zip")[1] == file.read_bytes()
    assert running.ask(path="/bundles/0000000000000000.zip")[0] == 404
    assert running.ask(path="/")[0] == 200
    for path in ("/../server.py", "/%2e%2e/server.py", "//etc/passwd", "/assets/%00"):
        assert running.ask(path=path)[0] == 404


ATTACKS = {
    "another host": {"Host": "evil.example"},
    "another host with a port": {"Host": "evil.example:80"},
    "no host": {"Host": ""},
    "evil origin": {"Origin": "http://evil.example"},
    "null origin": {"Origin": "null"},
    "another port's origin": {"Origin": "http://127.0.0.1:1"},
    "cross site": {"Sec_Fetch_Site": "cross-site"},
    "same site": {"Sec_Fetch_Site": "same-site"},
    "text/plain": {"Content_Type": "text/plain"},
    "form": {"Content_Type": "application/x-www-form-urlencoded"},
    "multipart": {"Content_Type": "multipart/form-data; boundary=x"},
    "websocket": {"Upgrade": "websocket", "Connection": "Upgrade"},
}


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_requests_of_other_pages_are_403_and_change_nothing(running, attack):
    before = dict(running.line.counts)
    for method, path in (("POST", "/predict"), ("GET", "/models")):
        status, data, _ = running.ask(method, path, png() if method == "POST" else None,
                                      **ATTACKS[attack])
        assert status == 403
        assert json.loads(data)["error"]["remedy"]
    assert dict(running.line.counts) == before
    assert running.ask()[0] == 200


def test_a_token_is_needed_where_one_is_set(bundle, file):
    with Device(bundle) as device:
        run = Running([device], [], token=TOKEN)
        for given in (None, "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN):
            headers = {} if given is None else {"Authorization": given}
            assert run.ask(**headers)[0] == 403
            assert run.predict(png(), **headers)[0] == 403
        assert run.predict(png(), Authorization=f"Bearer {TOKEN}")[0] == 200
        run.stop()


def test_where_it_listens_on_every_address_each_is_its_own_host(bundle):
    with Device(bundle) as device:
        run = Running([device], [], host="0.0.0.0", token=TOKEN)
        signed = {"Authorization": f"Bearer {TOKEN}"}
        # Connected to 127.0.0.1; on Linux 127.0.0.2 leads to this machine as well.
        assert run.ask(**signed)[0] == 200
        for host in ("0.0.0.0", "evil.example", "127.0.0.2", "[::2]"):
            assert run.ask(Host=host, **signed)[0] == 403
        with socket.create_connection(("127.0.0.2", run.port), timeout=30) as link:
            link.sendall(f"GET /health HTTP/1.1\r\nHost: 127.0.0.2:{run.port}\r\n"
                         f"Authorization: Bearer {TOKEN}\r\n\r\n".encode())
            assert link.recv(4096).startswith(b"HTTP/1.1 200 ")
        run.stop()


def test_beyond_loopback_needs_a_token_and_tls_needs_both_files(bundle, tmp_path):
    with Device(bundle) as device:
        line = InferenceQueue([device], 1, 1.0)
        with pytest.raises(BadInput, match="token"):
            server(line, [], Settings(host="0.0.0.0"))
        with pytest.raises(BadInput, match="both"):
            server(line, [], Settings(certificate=tmp_path / "x"))
        with pytest.raises(BadInput, match="do not fit"):
            server(line, [], Settings(certificate=tmp_path / "x", private_key=tmp_path / "y"))


@pytest.mark.parametrize(("body", "kind", "status"), [
    (b"", "image/png", 422), (b"no image", "image/png", 422), (png()[:60], "image/png", 422),
    (png(), "application/json", 415), (png(), "", 415), (bytes(300_001), "image/png", 413)])
def test_bad_uploads_are_refused_in_words(running, body, kind, status):
    got, document = running.predict(body, Content_Type=kind)
    assert got == status
    assert set(document["error"]) == {"fault", "remedy"}
    assert running.predict(png())[0] == 200


def test_wrong_queries(running):
    assert running.predict(png(), "?bundle=nope")[0] == 400
    assert running.predict(png(), "?bundle=0000000000000000")[0] == 404
    assert running.ask("DELETE", "/predict")[0] == 405
    assert running.ask(path="/nowhere")[0] == 404


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/predict", 405), ("DELETE", "/health", 405), ("PUT", "/", 405),
    ("GET", "/nowhere", 404), ("GET", "/bundles/nope.zip", 404), ("GET", "/models/x", 404)])
def test_every_fault_has_the_same_form(running, method, path, status):
    got, data, headers = running.ask(method, path)
    assert got == status
    assert set(json.loads(data)["error"]) == {"fault", "remedy"}
    assert ("allow" in headers) == (status == 405)


def test_head_of_what_can_be_downloaded(running, bundle, file):
    assert running.ask("HEAD", "/")[:2] == (200, b"")
    status, data, headers = running.ask("HEAD", f"/bundles/{bundle.id}.zip")
    assert (status, data) == (200, b"")
    assert int(headers["content-length"]) == len(file.read_bytes())


HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"


def _status(link):
    data = link.recv(4096)
    link.close()
    return int(data.split()[1]) if data else 0


def test_uploads_without_end_are_413_or_408(running):
    endless = running.socket(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    try:
        for _ in range(50):
            endless.sendall(chunk)
    except OSError:
        pass
    assert _status(endless) == 413
    lying = running.socket(HEAD + b"Content-Length: 5000\r\n\r\nabc")
    huge = running.socket(HEAD + b"Content-Length: 2000000000\r\n\r\n")
    assert _status(huge) == 413
    assert _status(lying) == 408
    assert running.line.counts["answered"] >= 0
    assert running.predict(png())[0] == 200


def test_slow_headers_end_and_a_good_request_is_answered_meanwhile(running):
    slow = [running.socket(b"POST /predict HTTP/1.1\r\nHost: loc") for _ in range(50)]
    assert running.ask()[0] == 200
    assert {_status(link) for link in slow} == {408}


def test_clients_that_never_read_hold_little_memory_and_are_ended(running):
    """Each asks for ten megabytes that it does not take."""
    name = _largest()
    whole = running.ask(path=f"/{name}")[1]
    assert whole == gzip.decompress(app_files.read(name).data)
    before = _resident()
    deaf = []
    for _ in range(60):
        link = socket.socket()
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        link.connect(("127.0.0.1", running.port))
        link.sendall(f"GET /{name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        deaf.append(link)
    most, end = 0, time.monotonic() + 20
    while len(running.server.server_state.connections) < 60 and time.monotonic() < end:
        most = max(most, _resident())
        time.sleep(0.01)
    while running.server.server_state.connections and time.monotonic() < end:
        most = max(most, _resident())
        assert running.ask()[0] == 200
        time.sleep(0.05)
    assert not running.server.server_state.connections
    assert most - before < 60_000_000, "less than a tenth of what they asked for"
    for link in deaf:
        link.close()


def test_a_client_that_reads_slowly_but_steadily_gets_all(running):
    name = _largest()
    link = running.socket(f"GET /{name} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                          .encode())
    size, start = 0, time.monotonic()
    while piece := link.recv(1 << 20):
        size += len(piece)
        time.sleep(0.15 if time.monotonic() - start < 3 else 0)
    assert time.monotonic() - start > 1
    assert size > len(gzip.decompress(app_files.read(name).data))
    link.close()


def _largest():
    try:
        return max(app_files.names(), key=lambda n: len(app_files.read(n).data))
    except MissingComponent:
        pytest.skip("the web app is not built here")


def _resident():
    line = next(x for x in Path("/proc/self/status").read_text().splitlines()
                if x.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


def test_a_full_line_is_429(running, monkeypatch):
    gate = threading.Event()
    device = running.line.devices[running.line.first]
    real = Device.image
    monkeypatch.setattr(type(device), "image",
                        lambda *a: (gate.wait(30), real(*a))[1])
    found = []
    threads = [threading.Thread(target=lambda: found.append(running.predict(png())[0]))
               for _ in range(9)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 20
    while len(found) < 5 and time.monotonic() < deadline:
        time.sleep(0.01)
    gate.set()
    for thread in threads:
        thread.join()
    assert sorted(found) == [200] * 4 + [429] * 5


def test_a_dead_engine_is_503_once_and_then_answers(running):
    running.line.devices[running.line.first]._engine._process.kill()
    assert running.predict(png())[0] == 503
    assert running.predict(png())[0] == 200
    assert running.line.counts["restarted"] >= 1


def test_the_audit_log_holds_nothing_of_a_client(running, log):
    running.predict(png(), "?bundle=0000000000000000&name=Jane+Doe", X_Patient="Jane Doe")
    running.ask(path="/Jane-Doe.png")
    lines = [json.loads(line) for line in Path(log).read_text().splitlines()]
    assert {frozenset(line) for line in lines} == {frozenset(
        ("time", "method", "route", "status", "ms", "bytes"))}
    assert "Jane" not in Path(log).read_text()
    assert {line["route"] for line in lines} <= {"/predict", "/models", "/health", "/", "/assets",
                                                 "/app.json", "/bundles", "/other", "/openapi.json"}


def test_an_audit_log_on_a_full_disk_is_said_once_and_answers_go_on(bundle, capsys):
    with Device(bundle) as device:
        run = Running([device], [], audit_log=Path("/dev/full"))
        assert [run.predict(png())[0] for _ in range(3)] == [200] * 3
        run.stop()
    assert capsys.readouterr().err.count("the audit log cannot be written") == 1


def test_an_audit_log_that_cannot_be_written_is_bad_input(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "file" / "log", Path("/proc/none/log")):
        with pytest.raises(BadInput, match="audit log cannot be written") as caught:
            auditor(path)
        assert caught.value.exit_code == 2
    with pytest.raises(BadInput, match="a folder stands where a file is needed"):
        write_bytes(tmp_path, b"x")


def test_schemathesis_finds_nothing(running):
    import schemathesis
    from hypothesis import HealthCheck, given, settings
    from schemathesis.checks import CHECKS, load_all_checks

    load_all_checks()
    # No schema can say "a PNG": random bytes of the right type are rightly refused.
    left_out = {"positive_data_acceptance"}
    checks = [c for c in CHECKS.get_all() if c.__name__ not in left_out]
    base = f"http://127.0.0.1:{running.port}"
    schema = schemathesis.openapi.from_url(f"{base}/openapi.json")
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy())
        @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
        def check(case):
            case.call_and_validate(base_url=base, checks=checks)

        check()
        tried += 1
    assert tried == 3


def test_a_new_token_can_be_read_back(tmp_path):
    token = new_token()
    (tmp_path / "token").write_text(f"{token}\n")
    assert read_token(tmp_path / "token") == token
    assert new_token() != token


@pytest.mark.parametrize("text", ["", "short", "two words of twenty characters", "ä" * 30])
def test_a_token_that_can_be_guessed_or_not_sent_is_refused(tmp_path, text):
    (tmp_path / "token").write_text(text)
    with pytest.raises(BadInput, match="one word of 20 characters"):
        read_token(tmp_path / "token")
