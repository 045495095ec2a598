"""Rate limits, keys, and unexpected errors."""

import json
import logging
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from llamacpp_app.application import telling
from llamacpp_app.conversations import StoreError
from llamacpp_app.guard import (
    MAX_ADDRESSES,
    REQUESTS_AT_ONCE,
    bearer,
    described,
    errors_as_json,
    only_from,
    rate_limit,
)
from llamacpp_app.upstream import NotReadyError, UpstreamError

if TYPE_CHECKING:
    from aiohttp.typedefs import Handler


class Transport:
    """A connection from an address."""

    def __init__(self, address: str) -> None:
        """Keep the address."""
        self.address = address

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Return the address."""
        return (self.address, 1) if name == "peername" else default


def request_from(address: str) -> web.Request:
    """Return a request from an address."""
    return make_mocked_request("GET", "/api/health", transport=Transport(address))


async def fine(_: web.Request) -> web.StreamResponse:
    """Answer."""
    return web.Response()


async def test_ingress_alone() -> None:
    """Only the Supervisor's proxy may use the page's port."""
    check = only_from("172.30.32.2")
    assert (await check(request_from("172.30.32.2"), fine)).status == 200
    assert (await check(request_from("172.30.33.5"), fine)).status == 403


async def test_the_key_is_told_by_ingress() -> None:
    """A user of Home Assistant may copy it into other programs; no cache keeps it."""
    told = await telling("secret")(request_from("172.30.32.2"))
    assert isinstance(told, web.Response)
    assert json.loads(told.text or "") == {"api_key": "secret"}
    assert told.headers["Cache-Control"] == "no-store"


async def test_rate() -> None:
    """Each address has a limit that recovers over time; addresses are forgotten."""
    now = [0.0]
    check = rate_limit(lambda: now[0])

    async def status(address: str) -> int:
        return (await check(request_from(address), fine)).status

    statuses = [await status("10.0.0.1") for _ in range(int(REQUESTS_AT_ONCE) + 1)]
    assert statuses == [200] * int(REQUESTS_AT_ONCE) + [429]
    assert await status("10.0.0.2") == 200
    now[0] = 0.1
    assert [await status("10.0.0.1") for _ in range(3)] == [200, 200, 429]
    for number in range(MAX_ADDRESSES):
        await status(f"10.1.{number // 250}.{number % 250}")
    assert await status("10.0.0.1") == 200


async def test_wrong_keys() -> None:
    """They are counted separately, and do not block clients with the key."""
    now = [0.0]
    check = bearer("right", clock=lambda: now[0])

    async def status(key: str) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        transport = Transport("10.0.0.1")
        request = make_mocked_request("GET", "/api/health", headers, transport=transport)
        return (await check(request, fine)).status

    statuses = [await status("wrong") for _ in range(int(REQUESTS_AT_ONCE) + 1)]
    assert statuses == [401] * int(REQUESTS_AT_ONCE) + [429]
    assert await status("right") == 200
    now[0] = 0.1
    assert [await status("wrong") for _ in range(3)] == [401, 401, 429]


async def test_a_mistake_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    """The log has the error; the client gets no details."""

    async def wrong(_: web.Request) -> web.StreamResponse:
        raise ZeroDivisionError("some inside")

    handler: Handler = wrong
    with caplog.at_level(logging.ERROR):
        answer = await errors_as_json(request_from("10.0.0.1"), handler)
    assert isinstance(answer, web.Response)
    assert answer.status == 500
    assert json.loads(answer.text or "")["error"]["code"] == "internal"
    assert "some inside" not in (answer.text or "")
    assert "some inside" in caplog.text


async def test_not_ready() -> None:
    """An early request is answered with the time to retry."""

    async def early(_: web.Request) -> web.StreamResponse:
        raise NotReadyError("The model is being loaded.")

    answer = await errors_as_json(request_from("10.0.0.1"), early)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")


@pytest.mark.parametrize(
    ("err", "told"),
    [
        (UpstreamError("timeout", "", 504), (504, "timeout")),
        (StoreError(), (507, "storage")),
    ],
)
def test_descriptions(err: UpstreamError | StoreError, told: tuple[int, str]) -> None:
    """Each kind of error has its status."""
    assert described(err) == told
