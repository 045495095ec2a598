"""Which llama.cpp this is, and whether it is new enough."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

# The oldest build that our tests have run: an older one may lack a flag that is passed.
OLDEST: Final = 11312
SECONDS: Final = 60.0

# "version: 0.7.0 (build 11669, commit Debian)", and formerly "version: 9000 (0123abc)".
_BUILD: Final = re.compile(r"^version: (?:.*\bbuild )?(\d+)\b(?!\.)", re.MULTILINE)


async def said(program: Path, argument: str) -> str:
    """Return all that a program says to an argument; nothing if it cannot be run."""
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            argument,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    except OSError:
        return ""
    try:
        async with asyncio.timeout(SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        return ""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return output.decode(errors="replace")


def build_of(version: str) -> int | None:
    """Return the number of the build in what llama-server says of its version."""
    match = _BUILD.search(version)
    return int(match[1]) if match else None


async def why_refused(server: Path) -> str | None:
    """Return in words why this llama-server is not started; nothing if it may be.

    One that does not tell its build may be.
    """
    build = build_of(await said(server, "--version"))
    if build is None or build >= OLDEST:
        return None
    return (
        f"llama-server is too old: its build is {build}, and the app needs {OLDEST} or newer. "
        f"Put a newer one into {server.parent}, or use the app's own image."
    )
