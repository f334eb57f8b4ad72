"""The guard in front of every server, request by request."""

from __future__ import annotations

import asyncio

import pytest

from bedside.services.guard import Guard, Limits, Policy, Refused

HOSTS = frozenset({"localhost", "127.0.0.1:8000"})


def ask(policy, method="GET", body=b"", server=("127.0.0.1", 8000), **headers):
    """Status and body of one request, and what the application received."""
    received, answers = [], []

    async def application(scope, receive, send):
        received.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    chunks = [body[i:i + 10] for i in range(0, len(body), 10)] or [b""]

    async def receive():
        chunk = chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

    async def send(message):
        answers.append(message)

    names = {k.replace("_", "-").lower(): v for k, v in {"Host": "localhost", **headers}.items()}
    scope = {"type": "http", "method": method, "path": "/predict", "server": server,
             "headers": [(k.encode(), v.encode()) for k, v in names.items()]}
    asyncio.run(Guard(application, policy)(scope, receive, send))
    return answers[0]["status"], answers[1]["body"], received


@pytest.mark.parametrize(("host", "status"), [
    ("localhost", 200), ("localhost:9", 200), ("127.0.0.1:8000", 200), ("127.0.0.1:9", 403),
    ("evil.example", 403), ("", 403)])
def test_a_host_without_a_port_stands_for_any(host, status):
    assert ask(Policy(HOSTS), Host=host)[0] == status


def test_the_address_of_the_connection_is_a_host_only_where_the_policy_says_so():
    for own, status in ((True, 200), (False, 403)):
        assert ask(Policy(HOSTS, own_address=own), server=("10.0.0.5", 80),
                   Host="10.0.0.5")[0] == status


@pytest.mark.parametrize("headers", [
    {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"},
    {"Upgrade": "websocket"}, {"Content_Type": "text/plain"}])
def test_other_sites_and_forms_are_refused(headers):
    assert ask(Policy(HOSTS), "POST", b"x", **headers)[0] == 403


def test_where_only_pages_change_anything_a_change_needs_their_origin():
    policy = Policy(HOSTS, pages_only=True)
    assert ask(policy)[0] == 200
    assert ask(policy, "POST", b"x")[0] == 403
    assert ask(policy, "POST", b"x", Origin="http://localhost", Content_Type="text/plain")[0] == 200


def test_a_token_is_asked_for():
    policy = Policy(HOSTS, token="secret")
    assert ask(policy)[0] == 403
    assert ask(policy, Authorization="Bearer wrong")[0] == 403
    assert ask(policy, Authorization="Bearer secret")[0] == 200


def test_who_is_not_admitted_sends_no_body():
    async def nobody(scope, headers):
        raise Refused(401, "no session")

    status, body, received = ask(Policy(HOSTS, admit=nobody), "POST", b"x" * 100)
    assert (status, received) == (401, [])
    assert b"no session" in body


def test_a_body_is_bounded_whether_it_says_its_length_or_not():
    policy = Policy(HOSTS, limits=Limits(upload_bytes=50))
    assert ask(policy, "POST", b"x" * 50)[2] == [b"x" * 50]
    assert ask(policy, "POST", b"x" * 60)[0] == 413
    assert ask(policy, "POST", b"", Content_Length="51")[0] == 413
    assert ask(policy, "POST", b"", Content_Length="many")[0] == 413
    assert ask(Policy(HOSTS, limits=Limits(held_bytes=20)), "POST", b"x" * 40)[0] == 429


def test_a_refusal_looks_as_the_policy_renders_it():
    policy = Policy(frozenset(), render=lambda refused: ("text/plain", refused.fault.encode()))
    assert ask(policy)[1] == b"asked under another host name"
