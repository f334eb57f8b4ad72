"""``bedside serve`` as a person starts it: TLS, a token, the end, floods and memory."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import device_fixture
import pytest
from device_fixture import png

from bedside.runtime.bundle import signing
from bedside.runtime.bundle.reader import open_bundle
from bedside.runtime.device import Device
from bedside.services.lab import certificates

cells, keys, file = device_fixture.cells, device_fixture.keys, device_fixture.file
TOKEN = "a-token-of-more-than-twenty-characters"
MB = 1_000_000


class Served:
    """The command in a process of its own."""

    def __init__(self, file, public, folder, *flags):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bedside", "serve", str(file), "--trust", str(public),
             "--port", str(self.port), "--store", str(folder / "store"), *map(str, flags)],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=dict(os.environ))
        self.said = ""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line
            if line.startswith("serving on"):
                break
        end = time.monotonic() + 60
        while time.monotonic() < end and self.process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError(self.said)

    def ask(self, method="GET", path="/health", body=None, context=None, **headers):
        kind = http.client.HTTPSConnection if context else http.client.HTTPConnection
        link = kind("127.0.0.1", self.port, timeout=60, **({"context": context} if context else {}))
        link.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
        reply = link.getresponse()
        data = reply.read()
        link.close()
        return reply.status, data

    def memory(self, name="VmRSS"):
        """Bytes of the server and of its engine (``VmHWM``: the most they ever had)."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return sum(int(line.split()[1]) * 1024 for n in (pid, *map(int, children))
                   for line in Path(f"/proc/{n}/status").read_text().splitlines()
                   if line.startswith(f"{name}:"))

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@pytest.fixture(scope="module")
def plain(file, keys, tmp_path_factory):
    served = Served(file, keys[1], tmp_path_factory.mktemp("plain"))
    yield served
    served.process.kill()
    served.process.wait()


def test_over_tls_with_a_token_it_answers_as_offline_and_ends_in_order(file, keys, tmp_path):
    made = certificates.certificates(["127.0.0.1"], tmp_path / "ca")
    (tmp_path / "token").write_text(TOKEN + "\n")
    log = tmp_path / "audit.jsonl"
    served = Served(file, keys[1], tmp_path, "--tls-cert", made.certificate, "--tls-key", made.key,
                    "--token-file", tmp_path / "token", "--audit-log", log)
    try:
        assert f"serving on https://127.0.0.1:{served.port}" in served.said
        assert "self-test passed" in served.said
        assert TOKEN not in served.said
        assert "unencrypted" not in served.said
        trusting = ssl.create_default_context(cafile=str(made.authority))
        assert served.ask(context=trusting)[0] == 403
        signed = {"Authorization": f"Bearer {TOKEN}"}
        assert served.ask(context=trusting, **signed)[0] == 200
        status, data = served.ask("POST", "/predict", png(3), trusting,
                                  Content_Type="image/png", **signed)
        with Device(open_bundle(file, {signing.read_public(keys[1])})) as device:
            wanted = device.image(png(3), "image")[0]
        assert status == 200
        assert json.loads(data)["answers"][0]["logits"] == list(wanted.logits)
        with pytest.raises(ssl.SSLCertVerificationError):
            served.ask(context=ssl.create_default_context(), **signed)
        old = ssl.create_default_context(cafile=str(made.authority))
        with pytest.warns(DeprecationWarning):
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(ssl.SSLError):
            served.ask(context=old, **signed)
        with pytest.raises((http.client.HTTPException, OSError)):
            served.ask(**signed)
    finally:
        code = served.stop()
    assert code == 0
    assert {json.loads(line)["status"] for line in log.read_text().splitlines()} == {200, 403}


def test_the_address_it_prints_works_and_plain_http_is_warned_of(file, keys, tmp_path):
    (tmp_path / "token").write_text(TOKEN + "\n")
    served = Served(file, keys[1], tmp_path, "--host", "0.0.0.0", "--token-file",
                    tmp_path / "token")
    try:
        assert "unencrypted" in served.said
        url = served.said.split("serving on ")[1].split()[0]
        assert "0.0.0.0" not in url
        asked = urllib.request.Request(f"{url}/health",
                                       headers={"Authorization": f"Bearer {TOKEN}"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        assert opener.open(asked, timeout=30).status == 200
    finally:
        served.stop()


@pytest.mark.parametrize(("flags", "words"), [
    (["--tls-cert", "missing.pem"], "Give both"),
    (["--tls-cert", "missing.pem", "--tls-key", "missing.key"], "do not fit"),
    (["--token-file", "short"], "20 characters")])
def test_settings_that_cannot_work_are_one_message(file, keys, tmp_path, flags, words):
    (tmp_path / "short").write_text("abc")
    done = subprocess.run(
        [sys.executable, "-m", "bedside", "serve", str(file), "--trust", str(keys[1]),
         "--store", str(tmp_path / "store"), *flags], cwd=tmp_path, capture_output=True, text=True,
        check=False, timeout=120)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"


def test_an_upload_announced_as_2_gb_is_refused_before_it_is_read(plain):
    """Twenty at once, and one that has no end: the answer is early and memory stays bounded."""
    plain.ask("POST", "/predict", png(), Content_Type="image/png")
    before = plain.memory("VmHWM")
    links = []
    for _ in range(20):
        link = socket.create_connection(("127.0.0.1", plain.port), timeout=60)
        link.sendall(HEAD + b"Content-Length: 2000000000\r\n\r\n" + bytes(1000))
        links.append(link)
    for link in links:
        # By its announcement: one that waited for the body would be 408.
        assert link.recv(4096).startswith(b"HTTP/1.1 413 ")
        link.close()
    endless = socket.create_connection(("127.0.0.1", plain.port), timeout=60)
    endless.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    chunk, sent = b"100000\r\n" + bytes(0x100000) + b"\r\n", 0
    try:
        while sent < 200:
            endless.sendall(chunk)
            sent += 1
    except OSError:
        pass
    endless.close()
    assert sent < 200, "the server stopped reading"
    assert plain.memory("VmHWM") - before < 64 * MB
    assert plain.ask()[0] == 200


def test_slow_clients_and_many_parts_leave_memory_and_good_requests_alone(plain):
    """Fifty clients that never end their headers, fifty that never end a body, and a form of
    10,000 parts, while a good request is answered.
    """
    plain.ask("POST", "/predict", png(), Content_Type="image/png")
    before = plain.memory("VmHWM")
    slow = []
    for beginning in (b"POST /predict HTTP/1.1\r\nHost: loc",
                      HEAD + b"Content-Length: 900\r\n\r\nab"):
        for _ in range(50):
            link = socket.create_connection(("127.0.0.1", plain.port), timeout=60)
            link.sendall(beginning)
            slow.append(link)
    parts = b"".join(b'--x\r\nContent-Disposition: form-data; name="f%d"\r\n\r\n1\r\n' % i
                     for i in range(10_000)) + b"--x--\r\n"
    status, _ = plain.ask("POST", "/predict", parts,
                          Content_Type="multipart/form-data; boundary=x")
    assert status == 403
    for _ in range(3):
        assert plain.ask("POST", "/predict", png(), Content_Type="image/png")[0] == 200
    assert plain.memory("VmHWM") - before < 64 * MB
    for link in slow:
        assert b" 408 " in link.recv(4096)
        link.close()
    assert plain.ask("POST", "/predict", png(), Content_Type="image/png")[0] == 200


def test_memory_is_flat_under_load(plain):
    """A short load; ``make prove`` holds it for half an hour."""
    images = [png(i, (200 + i, 180)) for i in range(10)]
    link = http.client.HTTPConnection("127.0.0.1", plain.port, timeout=60)

    def load(count):
        for i in range(count):
            link.request("POST", "/predict", images[i % 10], {"Content-Type": "image/png"})
            reply = link.getresponse()
            assert reply.status == 200
            reply.read()

    load(100)
    before = plain.memory()
    load(300)
    assert plain.memory() - before < 6 * MB
    link.close()
