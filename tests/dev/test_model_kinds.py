"""Models of each architecture, with a real llama-server."""

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from dev.llama import LlamaServer
from dev.model_kinds import KINDS
from dev.scripted_model import write_scripted_model

if TYPE_CHECKING:
    from pathlib import Path

    from dev.scripted_model import Vocabulary

SCRIPT = {"Hello": ["Good day to you."], "Bye": ["See you tomorrow."]}
HOME = " ".join(f"Lamp {number} is in room {number % 7}." for number in range(100))
FILE = {"filename": "home.bin"}
# A question and the template's marks around it; the home has a thousand.
FEW_TOKENS = 20
MANY_TOKENS = 900


async def ask(session: aiohttp.ClientSession, url: str, words: str) -> dict[str, Any]:
    """Return the answer to a question about the home."""
    said = ({"role": "system", "content": HOME}, {"role": "user", "content": words})
    body = {"messages": [*said], "id_slot": 0}
    async with session.post(f"{url}/v1/chat/completions", json=body) as answer:
        found: dict[str, Any] = await answer.json()
        return found


async def slot_file(session: aiohttp.ClientSession, url: str, action: str) -> None:
    """Save or restore a slot file."""
    async with session.post(f"{url}/slots/0?action={action}", json=FILE) as answer:
        assert answer.ok


@pytest.mark.usefixtures("socket_enabled")
@pytest.mark.parametrize("kind", KINDS)
async def test_it_says_what_it_is_told_to(
    vocabulary: Vocabulary, tmp_path: Path, kind: str
) -> None:
    """A real llama-server loads it, and its prompt is kept, over a restart, too."""
    path, slots = tmp_path / "scripted.gguf", tmp_path / "slots"
    slots.mkdir()
    write_scripted_model(path, vocabulary, SCRIPT, "I was not told.", kind=KINDS[kind])
    flags = ("--ctx-size", "4096", "--parallel", "1", "--slot-save-path", f"{slots}/")
    server = LlamaServer(tmp_path / "log.txt", *flags, model=path)
    server.start()
    try:
        await asyncio.to_thread(server.wait_ready)
        async with aiohttp.ClientSession() as session:
            answers = [await ask(session, server.base_url, "What is new?")]
            await slot_file(session, server.base_url, "save")
            answers.append(await ask(session, server.base_url, "Hello"))
        server.kill()
        server.start()
        await asyncio.to_thread(server.wait_ready)
        async with aiohttp.ClientSession() as session:
            await slot_file(session, server.base_url, "restore")
            answers.append(await ask(session, server.base_url, "Bye"))
    finally:
        server.stop()
    said = [one["choices"][0]["message"]["content"] for one in answers]
    assert said == ["I was not told.", *(words for (words,) in SCRIPT.values())]
    first, *later = [one["timings"] for one in answers]
    assert first["prompt_n"] > MANY_TOKENS
    for timings in later:
        assert timings["prompt_n"] < FEW_TOKENS
        assert timings["cache_n"] > MANY_TOKENS


def test_it_is_the_same_again(vocabulary: Vocabulary, tmp_path: Path) -> None:
    """Two models made in the same way have the same bytes."""
    for kind in KINDS.values():
        one, other = (tmp_path / f"{name}.gguf" for name in ("one", "other"))
        for path in (one, other):
            write_scripted_model(path, vocabulary, SCRIPT, "I was not told.", kind=kind)
        assert one.read_bytes() == other.read_bytes()
