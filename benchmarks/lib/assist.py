"""Timed questions to Home Assistant's agents over one open WebSocket, as in its frontend."""

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import aiohttp

from dev.ha_client import HomeAssistantClient, HomeAssistantError, PipelineEvent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

ASK_SECONDS = 30.0


@dataclass(slots=True)
class TimedAnswer:
    """An answer with its times, in seconds of `time.perf_counter`.

    asked: just before the question was sent. received: when each of the `pieces` arrived.
    """

    asked: float
    conversation_id: str = ""
    pieces: list[str] = field(default_factory=list)
    received: list[float] = field(default_factory=list)


class AssistClient(HomeAssistantClient):
    """A logged-in user who can keep a connection open."""

    @contextlib.asynccontextmanager
    async def assist(self) -> AsyncGenerator[AssistConnection]:
        """Open a connection for a sequence of questions."""
        async with self._connection() as connection:
            yield AssistConnection(connection)


class AssistConnection:
    """An open WebSocket."""

    def __init__(self, connection: aiohttp.ClientWebSocketResponse) -> None:
        """Use this authenticated connection."""
        self._connection = connection
        self._last_id = 0

    async def ask(
        self, text: str, pipeline: str, conversation_id: str | None = None
    ) -> TimedAnswer:
        """Ask the agent of a pipeline, in a new conversation unless one is given.

        Returns at the end of the pipeline's run. Raises HomeAssistantError if the answer is an
        error, TimeoutError after `ASK_SECONDS`.
        """
        self._last_id += 1
        message = json.dumps(
            {
                "id": self._last_id,
                "type": "assist_pipeline/run",
                "start_stage": "intent",
                "end_stage": "intent",
                "input": {"text": text},
                "pipeline": pipeline,
                "conversation_id": conversation_id,
            }
        )
        async with asyncio.timeout(ASK_SECONDS):
            answer = TimedAnswer(time.perf_counter())
            await self._connection.send_str(message)
            await self._receive(answer)
        return answer

    async def _receive(self, answer: TimedAnswer) -> None:
        """Receive the run's events until its end."""
        while True:
            frame = await self._connection.receive()
            received = time.perf_counter()
            if frame.type is not aiohttp.WSMsgType.TEXT:
                raise HomeAssistantError("Home Assistant closed the connection")
            message = json.loads(frame.data)
            if message["type"] == "result":
                if not message["success"]:
                    raise HomeAssistantError(str(message["error"]))
                continue
            raw = message["event"]
            event = PipelineEvent(raw["type"], raw["data"] or {}, received - answer.asked)
            if event.text:
                answer.pieces.append(event.text)
                answer.received.append(received)
            elif event.type == "intent-end":
                answer.conversation_id = _conversation_id(event.data["intent_output"])
            elif event.type == "error":
                raise HomeAssistantError(str(event.data["message"]))
            elif event.type == "run-end":
                return


def _conversation_id(output: dict[str, Any]) -> str:
    """Return the id from an answer; raises HomeAssistantError if the agent reports an error."""
    if output["response"]["response_type"] == "error":
        raise HomeAssistantError(output["response"]["speech"]["plain"]["speech"])
    return str(output["conversation_id"])
