"""The app as a worker: llama.cpp's RPC server, which computes for another machine."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING

from . import rpc
from .paths import WORKER_PORT
from .process import ServerProcess

if TYPE_CHECKING:
    from .options import Options
    from .paths import Paths

_LOGGER = logging.getLogger(__name__)


def worker_address(options: Options) -> tuple[str, int]:
    """Return where the worker listens: at the address that is set, or at this container's own."""
    if options.worker_address:
        host, _, port = options.worker_address.rpartition(":")
        return host.strip("[]"), int(port)
    return socket.gethostbyname(socket.gethostname()), WORKER_PORT


async def run_worker(options: Options, paths: Paths) -> None:
    """Run the RPC server until this is cancelled."""
    host, port = worker_address(options)
    command = [str(paths.worker), "-H", host, "-p", str(port)]
    if options.threads:
        command += ["-t", str(options.threads)]

    async def make_command() -> list[str]:
        return command

    async def is_ready() -> bool:
        return await rpc.is_open(f"{host}:{port}")

    _LOGGER.warning(
        "Whoever reaches %s:%s can use this machine without a key: keep it in your own network",
        host,
        port,
    )
    await ServerProcess(make_command, is_ready).run()
