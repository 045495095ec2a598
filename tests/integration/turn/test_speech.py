"""Text-to-speech that starts before the answer ends."""

import asyncio
from typing import TYPE_CHECKING, Any, override

import pytest
from aiohttp import web
from homeassistant.components import tts
from homeassistant.components.tts.const import DATA_COMPONENT
from homeassistant.components.tts.entity import TTSAudioResponse

from custom_components.llamacpp.client import LlamaServerClient, TextDelta
from tests.integration.conftest import AGENT
from tests.integration.peers import stream_events
from tests.integration.script import STORY, TURN_ON_KITCHEN, TWO_CALLS
from tests.integration.talk import PROPS, is_prefill, no_slots, piece, sse

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    import aiohttp
    from homeassistant.components.tts.entity import TTSAudioRequest
    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import WebSocketGenerator

    from dev.llama import LlamaServer
    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

    type Event = dict[str, Any]
    type Say = Callable[[str], Awaitable[list[Event]]]

# Home Assistant streams an answer to the engine if it is longer than this.
STREAM_CHARS = 60
WAIT_SECONDS = 60.0


class Engine(tts.TextToSpeechEntity):
    """A text-to-speech engine that takes a stream of words, and records it."""

    _attr_default_language = "en"
    _attr_name = "Engine"
    entity_id = "tts.engine"

    def __init__(self) -> None:
        """Start in silence."""
        self._attr_supported_languages = ["en"]
        self.pieces: list[str] = []
        self.has_begun = asyncio.Event()
        self.has_ended = asyncio.Event()

    @override
    async def async_stream_tts_audio(self, request: TTSAudioRequest) -> TTSAudioResponse:
        async def speak() -> AsyncGenerator[bytes]:
            async for words in request.message_gen:
                self.pieces.append(words)
                self.has_begun.set()
                yield b"sound"
            self.has_ended.set()

        return TTSAudioResponse("mp3", speak())


@pytest.fixture
async def engine(home: HomeAssistant) -> Engine:
    """Return an engine that is set up in Home Assistant."""
    engine = Engine()
    await home.data[DATA_COMPONENT].async_add_entities([engine])
    return engine


@pytest.fixture
async def say(home: HomeAssistant, engine: Engine, hass_ws_client: WebSocketGenerator) -> Say:
    """Return a function that runs a voice pipeline, as the browser does, and returns its events.

    It waits until all is spoken.
    """

    async def say(words: str) -> list[Event]:
        client = await hass_ws_client(home)

        async def command(**fields: Any) -> Any:
            await client.send_json_auto_id(fields)
            answer = await client.receive_json()
            assert answer["success"], answer
            return answer["result"]

        pipeline = await command(
            type="assist_pipeline/pipeline/create",
            name="Test",
            language="en",
            conversation_engine=AGENT,
            conversation_language="en",
            stt_engine=None,
            stt_language=None,
            tts_engine=engine.entity_id,
            tts_language="en",
            tts_voice=None,
            wake_word_entity=None,
            wake_word_id=None,
        )
        await command(
            type="assist_pipeline/run",
            start_stage="intent",
            end_stage="tts",
            input={"text": words},
            pipeline=pipeline["id"],
        )
        events: list[Event] = []
        async with asyncio.timeout(WAIT_SECONDS):
            while not events or events[-1]["type"] != "run-end":
                events.append((await client.receive_json())["event"])
            await engine.has_ended.wait()
        return events

    return say


def progress_of(events: list[Event]) -> list[Event]:
    """Return the data of the events with parts of the answer."""
    return [one["data"] for one in events if one["type"] == "intent-progress"]


def contents_of(progress: list[Event]) -> list[str]:
    """Return the pieces of text in these."""
    deltas = [one["chat_log_delta"] for one in progress if "chat_log_delta" in one]
    return [one["content"] for one in deltas if "role" not in one and "content" in one]


def start_of(progress: list[Event]) -> int:
    """Return the index at which speech starts."""
    return progress.index({"tts_start_streaming": True})


async def pieces_of_server(session: aiohttp.ClientSession, url: str, words: str) -> list[str]:
    """Return the pieces of the server's own stream."""
    request = {"messages": [{"role": "user", "content": words}]}
    stream = LlamaServerClient(session, url).stream_chat(request)
    return [event.text async for event in stream if isinstance(event, TextDelta)]


async def test_every_piece_is_handed_on(
    session: aiohttp.ClientSession,
    add_server: AddServer,
    scripted_server: LlamaServer,
    engine: Engine,
    say: Say,
) -> None:
    """In the server's order; speech starts with the first pieces that are enough."""
    await add_server(scripted_server.base_url)
    pieces = await pieces_of_server(session, scripted_server.base_url, STORY)
    progress = progress_of(await say(STORY))
    assert contents_of(progress) == pieces
    start = start_of(progress)
    before = contents_of(progress[:start])
    assert len("".join(before[:-1])) <= STREAM_CHARS < len("".join(before))
    # The engine gets the text until then as one piece, then each new one.
    assert engine.pieces == ["".join(before), *pieces[len(before) :]]
    assert len(engine.pieces) > 20


async def test_a_short_answer_is_spoken_whole(
    add_server: AddServer, scripted_server: LlamaServer, engine: Engine, say: Say
) -> None:
    """Home Assistant caches its sound, so that the same words are not synthesised twice."""
    await add_server(scripted_server.base_url)
    progress = progress_of(await say(TURN_ON_KITCHEN))
    assert {"tts_start_streaming": True} not in progress
    assert len(contents_of(progress)) > 1
    assert engine.pieces == ["The kitchen light is on now."]


async def test_words_before_a_call_are_spoken_first(
    add_server: AddServer, scripted_server: LlamaServer, engine: Engine, say: Say
) -> None:
    """Even a few: they reach the engine as soon as the call starts."""
    await add_server(scripted_server.base_url)
    progress = progress_of(await say(TWO_CALLS))
    start = start_of(progress)
    call, *_ = [n for n, one in enumerate(progress) if "tool_calls" in str(one)]
    result, *_ = [n for n, one in enumerate(progress) if "tool_result" in str(one)]
    assert call == start - 1
    assert start < result
    assert engine.pieces[0].strip() == "With pleasure."
    assert " ".join("".join(engine.pieces).split()) == "With pleasure. Both lamps are on."


async def test_speech_begins_before_the_model_has_ended(
    add_server: AddServer, peers: Peers, engine: Engine, say: Say
) -> None:
    """The server sends the rest only after the engine has spoken the first words."""
    first, second, rest = "A" * STREAM_CHARS, "B", "C"

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/health":
            return web.json_response({"status": "ok"})
        if request.path == "/props":
            return web.json_response(PROPS)
        if request.path.startswith("/slots/"):
            return no_slots()
        if is_prefill(await request.json()):
            return await stream_events(request, sse(piece("stop")))
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for line in sse(*(piece(content=one) for one in (first, second, rest)), piece("stop")):
            if rest in line:
                await engine.has_begun.wait()
            await response.write(f"{line}\n\n".encode())
        return response

    await add_server(await peers.http(answer))
    await say("Hello")
    assert engine.pieces == [first + second, rest]
