"""The conversation API of the running app, with a real llama-server and a real small model."""

import gzip
import http.client
import json
import re
import socket
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from dev.processes import LOOPBACK
from llamacpp_app.guard import MAX_BODY_BYTES, REQUESTS_PER_SECOND

if TYPE_CHECKING:
    from tests.app.running_app import RunningApp

pytestmark = pytest.mark.usefixtures("socket_enabled")


def start(app: RunningApp, **body: str) -> str:
    """Start a conversation and return its id."""
    status, answer = app.ask("POST", "/api/conversation/start", body)
    assert status == 201
    found: str = answer["conversation_id"]
    return found


def events(app: RunningApp, path: str, body: dict[str, Any]) -> list[tuple[str, Any]]:
    """Send a request and return the events of its answer."""
    connection = http.client.HTTPConnection(LOOPBACK, app.api_port, timeout=60)
    headers = {**app.headers, "Accept": "text/event-stream"}
    connection.request("POST", path, json.dumps(body), headers)
    response = connection.getresponse()
    assert response.headers["Content-Type"] == "text/event-stream"
    text = response.read().decode()
    connection.close()
    return [
        (name.removeprefix("event: "), json.loads(data.removeprefix("data: ")))
        for name, data in (block.split("\n") for block in text.strip().split("\n\n"))
    ]


def test_chat(shared_app: RunningApp) -> None:
    """One message gets an answer with the promised fields."""
    status, answer = shared_app.ask(
        "POST", "/api/chat", {"message": "Say hello.", "temperature": 0, "max_tokens": 8}
    )
    assert status == 200
    assert answer["response"]
    assert answer["finish_reason"] == "length"
    assert answer["model"] == "smol"
    usage = answer["usage"]
    assert usage["completion_tokens"] == 8
    assert usage["total_tokens"] == usage["prompt_tokens"] + 8
    assert "message_count" not in answer


def test_the_system_prompt_is_read(shared_app: RunningApp) -> None:
    """The model gets the system prompt."""
    body = {"message": "Hello.", "max_tokens": 1}
    _, without = shared_app.ask("POST", "/api/chat", body)
    _, given = shared_app.ask("POST", "/api/chat", {**body, "system_prompt": "one two " * 50})
    assert given["usage"]["prompt_tokens"] > without["usage"]["prompt_tokens"] + 50


def test_conversation(shared_app: RunningApp) -> None:
    """Turns build on each other, are counted and stored, and can be deleted."""
    found = start(shared_app, system_prompt="You are brief.")
    assert re.fullmatch(r"conv_\d{10}_[0-9a-f]{8}", found)
    path = f"/api/conversation/{found}"
    counts, prompts = [], []
    for word in ("one", "two"):
        body = {"message": f"Say {word}.", "max_tokens": 6}
        status, answer = shared_app.ask("POST", f"{path}/message", body)
        assert status == 200
        counts.append(answer["message_count"])
        prompts.append(answer["usage"])
    assert counts == [2, 4]
    # The second prompt contains the first turn, which is in the server's cache.
    assert prompts[1]["prompt_tokens"] > prompts[0]["prompt_tokens"] + 6
    assert prompts[1]["cached_tokens"] >= prompts[0]["prompt_tokens"]
    _, history = shared_app.ask("GET", f"{path}/history")
    assert history["conversation_id"] == found
    roles = [one["role"] for one in history["messages"]]
    assert roles == ["system", "user", "assistant", "user", "assistant"]
    assert [one["content"] for one in history["messages"] if one["role"] == "user"] == [
        "Say one.",
        "Say two.",
    ]
    _, listed = shared_app.ask("GET", "/api/conversations?limit=1")
    (newest,) = listed["conversations"]
    assert (newest["conversation_id"], newest["message_count"]) == (found, 4)
    assert shared_app.ask("GET", "/api/health")[1]["active_conversations"] >= 1
    assert shared_app.ask("DELETE", path) == (200, {"conversation_id": found, "deleted": True})
    for method, end in (("GET", "/history"), ("DELETE", "")):
        status, answer = shared_app.ask(method, path + end)
        assert (status, answer["error"]["code"]) == (404, "unknown_conversation")
    status, answer = shared_app.ask("POST", f"{path}/message", {"message": "Hello?"})
    assert (status, answer["error"]["message"]) == (404, f"There is no conversation {found}.")


@pytest.mark.parametrize("where", ["chat", "conversation"])
def test_events(shared_app: RunningApp, where: str) -> None:
    """Words are streamed as events, and the last one has all the fields."""
    path = "/api/chat"
    if where == "conversation":
        path = f"/api/conversation/{start(shared_app)}/message"
    body = {"message": "Count.", "temperature": 0, "max_tokens": 10}
    *deltas, (last, answer) = events(shared_app, path, body)
    assert {name for name, _ in deltas} == {"delta"}
    assert "".join(data["delta"] for _, data in deltas) == answer["response"]
    assert last == "done"
    assert answer["usage"]["completion_tokens"] == 10
    assert ("message_count" in answer) is (where == "conversation")


def test_what_is_given_up_is_not_stored(shared_app: RunningApp) -> None:
    """A client that disconnects ends the answer, and no half turn is stored."""
    found = start(shared_app)
    connection = http.client.HTTPConnection(LOOPBACK, shared_app.api_port, timeout=60)
    body = json.dumps({"message": "Tell a long story.", "max_tokens": 400, "stream": True})
    connection.request("POST", f"/api/conversation/{found}/message", body, shared_app.headers)
    connection.getresponse().read(20)
    connection.close()
    waiting_is(shared_app, 0)
    assert shared_app.ask("GET", f"/api/conversation/{found}/history")[1]["messages"] == []


def test_two_at_once_go_one_after_the_other(shared_app: RunningApp) -> None:
    """Messages to one conversation do not overtake each other."""
    found = start(shared_app)
    counts = []

    def send() -> None:
        body = {"message": "Hello.", "max_tokens": 12}
        _, answer = shared_app.ask("POST", f"/api/conversation/{found}/message", body)
        counts.append(answer["message_count"])

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(counts) == [2, 4, 6]
    _, history = shared_app.ask("GET", f"/api/conversation/{found}/history")
    assert [one["role"] for one in history["messages"]] == ["user", "assistant"] * 3


def test_too_many_wait(shared_app: RunningApp) -> None:
    """A request behind too many others is rejected, with a time to retry."""
    answers: list[tuple[int, Any]] = []

    def send() -> None:
        body = {"message": "Tell a story.", "max_tokens": 12}
        answers.append(shared_app.ask("POST", "/api/chat", body))

    threads = [threading.Thread(target=send) for _ in range(24)]
    # The requests of earlier tests must not count for the rate limit.
    time.sleep(len(threads) / REQUESTS_PER_SECOND)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refusals = [answer["error"]["code"] for status, answer in answers if status != 200]
    assert refusals
    assert set(refusals) == {"busy"}
    # Two are answered at the same time, and sixteen wait.
    assert len(refusals) <= len(threads) - 18


def test_a_long_conversation_goes_on(shared_app: RunningApp) -> None:
    """If the context is full, the oldest turns are left out."""
    found = start(shared_app)
    path = f"/api/conversation/{found}/message"
    for number in range(4):
        body = {"message": f"{number}: " + "one two three " * 50, "max_tokens": 4}
        status, answer = shared_app.ask("POST", path, body)
        assert status == 200, answer
    assert answer["message_count"] == 8
    body = {"message": "one two three " * 400}
    status, answer = shared_app.ask("POST", path, body)
    assert (status, answer["error"]["code"]) == (413, "too_long")
    assert "512" in answer["error"]["message"]


@pytest.mark.parametrize(
    ("asked", "body", "told", "words"),
    [
        ("POST /api/chat", {}, "400 invalid", "message: required key not provided."),
        ("POST /api/chat", {"message": " "}, "400 invalid", "not empty"),
        ("POST /api/chat", {"message": 3}, "400 invalid", "must be a text"),
        ("POST /api/chat", {"message": "\ud800"}, "400 invalid", "valid Unicode"),
        ("POST /api/chat", {"message": "a", "x": 1}, "400 invalid", "x: extra keys"),
        ("POST /api/chat", {"message": "a", "temperature": 3}, "400 invalid", "from 0 to 2"),
        ("POST /api/chat", {"message": "a", "max_tokens": True}, "400 invalid", "from 1 to"),
        ("POST /api/chat", {"message": "a", "stream": 1}, "400 invalid", "true or false"),
        ("POST /api/chat", {"message": "a", "model": "b"}, "404 unknown_model", "no model b"),
        ("POST /api/chat", [], "400 invalid", "The body: expected a dictionary."),
        ("GET /api/chat", None, "405 method_not_allowed", "GET /api/chat"),
        ("GET /api/none", None, "404 not_found", "GET /api/none"),
        ("GET /api/conversations?limit=0", None, "400 invalid", "limit must be a whole number"),
        ("GET /api/conversations?offset=x", None, "400 invalid", "offset must be a whole number"),
        ("GET /api/conversations?limit=1&limit=2", None, "400 invalid", "limit must be a whole"),
        ("GET /api/conversations?limt=1", None, "400 invalid", "There is no parameter limt."),
        ("GET /api/conversations?limit=1_0", None, "400 invalid", "limit must be a whole number"),
        ("DELETE /api/models/none", None, "404 unknown_model", "no model none"),
        ("POST /api/models/none/load", None, "404 unknown_model", "no model none"),
        ("POST /api/models", {"name": "smol", "url": "o/r:f.gguf"}, "409 conflict", "already"),
        ("POST /api/models", {"name": "../x", "url": "o/r:f.gguf"}, "400 invalid", "a name of"),
        ("POST /api/models", {"name": "x", "url": "file:///x.gguf"}, "400 invalid", "https"),
    ],
)
def test_errors(shared_app: RunningApp, asked: str, body: Any, told: str, words: str) -> None:
    """Every error has a status, a code for programs and a sentence for people."""
    method, path = asked.split()
    status, answer = shared_app.ask(method, path, body)
    assert f"{status} {answer['error']['code']}" == told
    assert words in answer["error"]["message"]


def test_too_large(shared_app: RunningApp) -> None:
    """Too large messages and bodies are rejected."""
    status, answer = shared_app.ask("POST", "/api/chat", {"message": "x" * 32001})
    assert (status, answer["error"]["code"]) == (400, "invalid")
    assert "at most 32000 characters" in answer["error"]["message"]
    status, answer = shared_app.ask("POST", "/api/chat", {"message": "x" * MAX_BODY_BYTES})
    assert (status, answer["error"]["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"{", "identity"),
        ('{"message": "Grüße"}'.encode("latin-1"), "identity"),
        (b"[" * 100_000, "identity"),
        (b'{"message": "x", "max_tokens": ' + b"1" * 5000 + b"}", "identity"),
        (gzip.compress(b'{"message": "x"}'), "gzip"),
    ],
    ids=["cut", "latin-1", "nested", "number", "gzip"],
)
def test_no_json(shared_app: RunningApp, body: bytes, encoding: str) -> None:
    """A body that is not JSON is reported as such."""
    connection = http.client.HTTPConnection(LOOPBACK, shared_app.api_port, timeout=10)
    headers = {**shared_app.headers, "Content-Encoding": encoding}
    connection.request("POST", "/api/chat", body, headers)
    response = connection.getresponse()
    assert response.status == 400
    assert json.load(response) == {"error": {"code": "invalid", "message": "The body is no JSON."}}
    connection.close()


def test_other_alphabets(shared_app: RunningApp) -> None:
    """JSON is read in any valid encoding, whatever the header says."""
    connection = http.client.HTTPConnection(LOOPBACK, shared_app.api_port, timeout=60)
    headers = {**shared_app.headers, "Content-Type": "application/json; charset=nonsense"}
    body = json.dumps({"message": "Grüße", "max_tokens": 1}, ensure_ascii=False)
    for encoding in ("utf-8", "utf-16"):
        connection.request("POST", "/api/chat", body.encode(encoding), headers)
        response = connection.getresponse()
        assert response.status == 200
        assert json.load(response)["usage"]["completion_tokens"] == 1
    connection.close()


def test_strangers_who_speak_no_http(shared_app: RunningApp) -> None:
    """They are disconnected, and the log does not mention them."""
    before = shared_app.log()
    for request in (b"\x16\x03\x01\r\n\r\n", b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n\r\n"):
        with socket.create_connection((LOOPBACK, shared_app.api_port), timeout=10) as connection:
            connection.sendall(request)
            assert b" 400 " in connection.recv(100)
    # This request is answered after the earlier ones.
    shared_app.ask("GET", "/api/health")
    assert "Traceback" not in shared_app.log().removeprefix(before)


def test_events_are_not_forced_on_anybody(shared_app: RunningApp) -> None:
    """A request with `stream: false` gets no events, whatever it accepts."""
    connection = http.client.HTTPConnection(LOOPBACK, shared_app.api_port, timeout=60)
    headers = {**shared_app.headers, "Accept": "text/event-stream, application/json"}
    body = json.dumps({"message": "Hi", "max_tokens": 1, "stream": False})
    connection.request("POST", "/api/chat", body, headers)
    assert "response" in json.load(connection.getresponse())
    connection.close()


def test_who_waits_for_a_conversation_takes_no_place(shared_app: RunningApp) -> None:
    """Two messages to one conversation leave a place for another client's.

    A client that disconnects while it waits leaves the queue.
    """
    path = f"/api/conversation/{start(shared_app)}/message"
    body = json.dumps({"message": "Tell a very long story.", "max_tokens": 400, "stream": True})
    connections = []
    for _ in range(2):
        connection = http.client.HTTPConnection(LOOPBACK, shared_app.api_port, timeout=60)
        connection.request("POST", path, body, shared_app.headers)
        connections.append(connection)
        waiting_is(shared_app, len(connections))
    first = connections[0].getresponse()
    first.read(20)
    assert shared_app.ask("POST", "/api/chat", {"message": "Hi", "max_tokens": 1})[0] == 200
    # Both are still there: one is being answered, the other waits.
    assert shared_app.ask("GET", "/api/health")[1]["waiting"] == 2
    connections[1].close()
    waiting_is(shared_app, 1)
    first.close()
    connections[0].close()
    waiting_is(shared_app, 0)


def waiting_is(app: RunningApp, count: int) -> None:
    """Wait until this number of requests is in progress or waits."""
    deadline = time.monotonic() + 10
    while app.ask("GET", "/api/health")[1]["waiting"] != count:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("key", ["", "wrong"])
def test_the_key(shared_app: RunningApp, key: str) -> None:
    """It is needed at both ports; the page itself is open and contains no secret."""
    status, answer = shared_app.ask("GET", "/api/health", key=key)
    assert (status, answer["error"]["code"]) == (401, "unauthorized")
    connection = http.client.HTTPConnection(LOOPBACK, shared_app.server_port, timeout=10)
    connection.request("GET", "/v1/models", headers={"Authorization": f"Bearer {key}"})
    assert connection.getresponse().status == 401
    connection.close()
    connection = http.client.HTTPConnection(LOOPBACK, shared_app.api_port, timeout=10)
    connection.request("GET", "/")
    response = connection.getresponse()
    assert response.status == 200
    assert "default-src 'self'" in response.headers["Content-Security-Policy"]
    assert "Access-Control-Allow-Origin" not in response.headers
    assert shared_app.key not in response.read().decode()
    connection.close()


def test_strangers_pages_get_nothing(shared_app: RunningApp) -> None:
    """A foreign page in the same browser may not read our answers."""
    for port in (shared_app.api_port, shared_app.server_port):
        connection = http.client.HTTPConnection(LOOPBACK, port, timeout=10)
        headers = {**shared_app.headers, "Origin": "https://evil.example"}
        connection.request("GET", "/v1/models", headers=headers)
        allowed = connection.getresponse().headers.get("Access-Control-Allow-Origin")
        assert allowed not in ("*", "https://evil.example")
        connection.close()


def test_models(shared_app: RunningApp) -> None:
    """The model in the folder is listed, with the data of its file."""
    _, answer = shared_app.ask("GET", "/api/models")
    (model,) = answer["models"]
    assert model["name"] == "smol"
    assert model["state"] == "ready"
    assert model["memory"] == "loaded"
    assert model["architecture"] == "llama"
    assert model["parameters"] == 134_515_008
    assert model["context_length"] == 8192
    status, answer = shared_app.ask("POST", "/api/models/smol/load")
    assert (status, answer) == (202, {"name": "smol"})
    status, answer = shared_app.ask("DELETE", "/api/models/smol")
    assert (status, answer["error"]["code"]) == (409, "conflict")


def test_what_people_say_is_not_in_the_log(shared_app: RunningApp) -> None:
    """Neither messages nor the key are in the log."""
    shared_app.ask("POST", "/api/chat", {"message": "My secret is xylophone.", "max_tokens": 4})
    _, answer = shared_app.ask("GET", "/api/log")
    text = "\n".join(answer["lines"])
    assert "llama-server is ready" in text
    assert "xylophone" not in shared_app.log()
    assert shared_app.key not in shared_app.log()


def test_statistics(shared_app: RunningApp) -> None:
    """The samples are a list; another test counts them."""
    assert isinstance(shared_app.ask("GET", "/api/statistics")[1]["samples"], list)


def test_the_database_is_read_by_others(shared_app: RunningApp) -> None:
    """Conversations are in an SQLite file that any tool can open."""
    found = start(shared_app)
    path = shared_app.folder / "data" / "conversations.db"
    database = sqlite3.connect(path)
    rows = database.execute("SELECT id FROM conversations WHERE id = ?", (found,)).fetchall()
    database.close()
    assert rows == [(found,)]
