"""The app as a process: reads the options, gives up root, and runs until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import TYPE_CHECKING, Final

import aiohttp

from . import logs
from .application import run_app
from .errors import AppError, in_words
from .options import Mode
from .paths import Paths
from .privileges import give_up_root
from .startup import Setup
from .worker import run_worker

if TYPE_CHECKING:
    from .logs import Newest

_LOGGER = logging.getLogger(__package__)

WRONG_OPTIONS: Final = 2


async def _run_until_stopped(setup: Setup, newest: Newest) -> None:
    """Run the app until SIGTERM or SIGINT; what it started is stopped then."""
    loop = asyncio.get_running_loop()
    # Proxies are those of the environment.
    async with aiohttp.ClientSession(trust_env=True) as session:
        if setup.options.mode is Mode.WORKER:
            running = asyncio.create_task(run_worker(setup.options, setup.paths))
        else:
            running = asyncio.create_task(run_app(setup, session, newest))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, running.cancel)
        try:
            await running
        except asyncio.CancelledError:
            _LOGGER.info("Stopped")


def main() -> int:
    """Run the app; return the exit status."""
    try:
        give_up_root(Paths.of(os.environ))
        setup = Setup.of(os.environ)
    except (AppError, OSError) as err:
        logs.set_up("info")
        return _tell(ExceptionGroup("", [err]), WRONG_OPTIONS)
    newest = logs.set_up(setup.options.log_level, (setup.api_key, setup.options.hf_token or ""))
    status = 0
    try:
        asyncio.run(_run_until_stopped(setup, newest))
    except* AppError as errors:
        status = _tell(errors, WRONG_OPTIONS)
    except* OSError as errors:
        status = _tell(errors, 1)
    return status


def _tell(errors: ExceptionGroup, status: int) -> int:
    """Log what kept the app from running; return the exit status."""
    for err in errors.exceptions:
        if isinstance(err, ExceptionGroup):
            _tell(err, status)
        else:
            _LOGGER.error("%s", in_words(err) if isinstance(err, OSError) else err)
    return status
