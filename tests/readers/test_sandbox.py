"""Workers that die, hang, eat memory or print: the parent gets one clear error and goes on."""

from __future__ import annotations

import numpy as np
import pytest

from bedside.core.errors import BadInput
from bedside.readers import sandbox_worker
from bedside.readers.sandbox import Limits, Pool

HERE = "sandboxed"
CODE = '''
import os, sys, time
import numpy as np
from bedside.core.errors import BadInput
def echo(blob, **words):
    print("noise")
    return [len(blob), words], [np.arange(6, dtype=">u2").reshape(2, 3)]
def die(blob): os._exit(3)
def crash(blob): os.kill(os.getpid(), 11)
def hang(blob): time.sleep(60)
def spin(blob):
    while True: pass
def slow(blob): time.sleep(1.5); return 1, []
def eat(blob): return len(bytearray(4 << 30)), []
def deep(blob): return deep(blob)
def secret(blob): raise ValueError("Jane Doe")
def refuse(blob): raise BadInput("too odd", remedy="Mend it.")
def pid(blob): return os.getpid(), []
'''


@pytest.fixture
def pool(tmp_path, monkeypatch):
    (tmp_path / f"{HERE}.py").write_text(CODE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    shared = Pool(1, Limits(seconds=0.5))
    yield shared
    shared.close()


def call(pool: Pool, name: str, **words: object):
    return pool.call(f"{HERE}:{name}", "x.dcm", b"four", **words)


def test_values_and_arrays_come_back(pool: Pool) -> None:
    reply = call(pool, "echo", a=1, b="\udce9")
    assert reply.value == [4, {"a": 1, "b": "\udce9"}]
    np.testing.assert_array_equal(reply.arrays[0], [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize(("name", "fault"), [
    ("die", "crashed"), ("crash", "crashed"), ("spin", "not read within 0.5 s"),
    ("hang", "not read within 0.5 s"),
    ("eat", "more memory"), ("deep", "nested too deeply"), ("refuse", "too odd")])
def test_faults(pool: Pool, name: str, fault: str) -> None:
    with pytest.raises(BadInput, match=fault) as caught:
        call(pool, name)
    assert caught.value.where == "x.dcm" and caught.value.remedy
    assert call(pool, "echo").value[0] == 4


def test_a_machine_that_is_busy_elsewhere_does_not_count(pool: Pool) -> None:
    assert call(pool, "slow").value == 1


def test_messages_of_parsers_stay_in_the_worker(pool: Pool) -> None:
    with pytest.raises(BadInput) as caught:
        call(pool, "secret")
    assert "ValueError" in caught.value.message and "Jane" not in caught.value.message


def test_a_worker_serves_many_requests_and_map_keeps_order(pool: Pool) -> None:
    assert call(pool, "pid").value == call(pool, "pid").value
    assert list(pool.map(lambda i: call(pool, "echo", i=i).value[1]["i"], range(40))) == [
        *range(40)]


@pytest.mark.parametrize(("function", "reply"), [
    ("math:sqrt", {"fault": "damaged or not supported (TypeError)"}),
    ("bedside.readers.dicom_header:tag_number", {"value": 0x00081030, "arrays": []})])
def test_a_worker_answers_a_request_in_plain_data(function, reply):
    request = {"function": function, "arguments": {"text": "StudyDescription"}}
    assert sandbox_worker._answer(request, b"") == (reply, [], True)
