"""Other machines that answer, and the address of a worker."""

import asyncio

import pytest

from dev.processes import LOOPBACK, free_port
from llamacpp_app.options import Options
from llamacpp_app.rpc import alive
from llamacpp_app.worker import worker_address

pytestmark = pytest.mark.usefixtures("socket_enabled")


async def test_alive() -> None:
    """Those with a listening server, in order; an answer is not waited for."""
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), LOOPBACK, 0)
    address = f"{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    gone = f"{LOOPBACK}:{free_port()}"
    async with server:
        assert await alive((gone, address)) == (address,)
    assert await alive((address,)) == ()
    assert await alive(()) == ()


@pytest.mark.parametrize(
    ("option", "expected"),
    [("192.168.1.20:50060", ("192.168.1.20", 50060)), ("[::1]:50061", ("::1", 50061))],
)
def test_where_a_worker_listens(option: str, expected: tuple[str, int]) -> None:
    """At the configured address, in either spelling."""
    assert worker_address(Options(worker_address=option)) == expected
