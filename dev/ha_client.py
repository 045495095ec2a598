"""A client of a running Home Assistant, over HTTP and WebSocket like its frontend."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from .sound import Sound

USER = "demo"
PASSWORD = "demo-home"  # noqa: S105 - printed by the demo, and good for this machine only
REQUEST_SECONDS = 30.0
START_SECONDS = 60.0
POLL_SECONDS = 0.1


class HomeAssistantError(Exception):
    """Home Assistant refused a request, or its answer is unexpected."""


@dataclass(frozen=True, slots=True)
class PipelineEvent:
    """An event of a pipeline run. after: seconds since the question was sent, or began to be."""

    type: str
    data: Mapping[str, Any]
    after: float

    @property
    def text(self) -> str:
        """Return the piece of the answer in this event, "" if it has none."""
        if self.type != "intent-progress":
            return ""
        return (self.data.get("chat_log_delta") or {}).get("content") or ""


@dataclass(slots=True)
class AssistAnswer:
    """The answer to a question. first_text_after: seconds until its first piece."""

    speech: str = ""
    is_error: bool = False
    conversation_id: str | None = None
    pieces: list[str] = field(default_factory=list)
    first_text_after: float | None = None

    def add(self, event: PipelineEvent) -> None:
        """Add the data of an event of the run."""
        if event.text:
            self.pieces.append(event.text)
            if self.first_text_after is None:
                self.first_text_after = event.after
        elif event.type == "intent-end":
            output = event.data["intent_output"]
            self.speech = output["response"]["speech"]["plain"]["speech"]
            self.is_error = output["response"]["response_type"] == "error"
            self.conversation_id = output["conversation_id"]
        elif event.type == "error":
            self.is_error = True
            self.speech = event.data["message"]


class HomeAssistantClient:
    """A logged-in user of a Home Assistant; use it as an asynchronous context manager."""

    def __init__(self, base_url: str, username: str = USER, password: str = PASSWORD) -> None:
        """Describe it; this sends no request.

        username, password: of the account, which is created if there is no user yet.
        """
        self.base_url = base_url
        self._username = username
        self._password = password
        self._client_id = f"{base_url}/"
        self._token = ""
        self._session: aiohttp.ClientSession
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open the session and log in, creating the user if there is none."""
        self._session = await self._stack.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS))
        )
        try:
            await self._log_in()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_exception: object) -> None:
        """Close the session."""
        await self._stack.aclose()

    async def request(
        self, method: str, path: str, body: object = None, *, seconds: float = REQUEST_SECONDS
    ) -> Any:
        """Send JSON to Home Assistant and return its JSON.

        seconds: time limit. Raises TimeoutError, and HomeAssistantError for a
        status of 400 or more.
        """
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        timeout = aiohttp.ClientTimeout(total=seconds)
        async with self._session.request(
            method, self.base_url + path, json=body, headers=headers, timeout=timeout
        ) as response:
            if not response.ok:
                message = f"{method} {path}: {response.status} {await response.text()}"
                raise HomeAssistantError(message)
            return await response.json()

    @property
    def access_token(self) -> str:
        """Return the access token, which a browser can use, too."""
        return self._token

    async def _log_in(self) -> None:
        if await self._lacks_user():
            code = await self._create_user()
        else:
            code = await self._authorization_code()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": self._client_id,
        }
        async with self._session.post(f"{self.base_url}/auth/token", data=form) as response:
            response.raise_for_status()
            self._token = (await response.json())["access_token"]

    async def _lacks_user(self) -> bool:
        async with self._session.get(f"{self.base_url}/api/onboarding") as response:
            if response.status == HTTPStatus.NOT_FOUND:
                # After onboarding, Home Assistant no longer serves this.
                return False
            response.raise_for_status()
            return any(
                step["step"] == "user" and not step["done"] for step in await response.json()
            )

    async def _create_user(self) -> str:
        answer = await self.request(
            "POST",
            "/api/onboarding/users",
            {
                "client_id": self._client_id,
                "name": "Demo",
                "username": self._username,
                "password": self._password,
                "language": "en",
            },
        )
        return str(answer["auth_code"])

    async def _authorization_code(self) -> str:
        flow = await self.request(
            "POST",
            "/auth/login_flow",
            {
                "client_id": self._client_id,
                "handler": ["homeassistant", None],
                "redirect_uri": self._client_id,
            },
        )
        answer = await self.request(
            "POST",
            f"/auth/login_flow/{flow['flow_id']}",
            {
                "client_id": self._client_id,
                "username": self._username,
                "password": self._password,
            },
        )
        if answer["type"] != "create_entry":
            message = f"The password of the user {self._username} is not accepted"
            raise HomeAssistantError(message)
        return str(answer["result"])

    async def add_user(self, name: str, username: str, password: str) -> None:
        """Create an account for another user; this one must be an administrator."""
        made = await self.command("config/auth/create", name=name, group_ids=["system-users"])
        await self.command(
            "config/auth_provider/homeassistant/create",
            user_id=made["user"]["id"],
            username=username,
            password=password,
        )

    async def wait_started(self) -> None:
        """Wait until all integrations are set up, so that the agent sees the whole home."""
        async with asyncio.timeout(START_SECONDS):
            while True:
                if (await self.command("get_config"))["state"] == "RUNNING":
                    return
                await asyncio.sleep(POLL_SECONDS)

    async def state(self, entity_id: str) -> dict[str, Any]:
        """Return an entity's state and attributes."""
        state: dict[str, Any] = await self.request("GET", f"/api/states/{entity_id}")
        return state

    async def call(self, domain: str, action: str, data: Mapping[str, Any]) -> None:
        """Run an action of Home Assistant."""
        await self.request("POST", f"/api/services/{domain}/{action}", data)

    async def start_flow(self, handler: str) -> dict[str, Any]:
        """Start a configuration flow and return its first step."""
        step: dict[str, Any] = await self.request(
            "POST", "/api/config/config_entries/flow", {"handler": handler}
        )
        return step

    async def next_step(
        self, flow_id: str, values: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Submit values to a flow and return its next step; without them, its current step."""
        step: dict[str, Any] = await self.request(
            "GET" if values is None else "POST",
            f"/api/config/config_entries/flow/{flow_id}",
            values,
        )
        return step

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncGenerator[aiohttp.ClientWebSocketResponse]:
        async with self._session.ws_connect(
            f"{self.base_url}/api/websocket", max_msg_size=0
        ) as connection:
            await connection.receive_json()
            await connection.send_json({"type": "auth", "access_token": self._token})
            answer = await connection.receive_json()
            if answer["type"] != "auth_ok":
                raise HomeAssistantError("The WebSocket connection was refused")
            yield connection

    async def command(self, command: str, **fields: Any) -> Any:
        """Send a WebSocket command and return its result; raises HomeAssistantError."""
        async with asyncio.timeout(REQUEST_SECONDS), self._connection() as connection:
            await connection.send_json({"id": 1, "type": command, **fields})
            return _result(await connection.receive_json())

    async def run_pipeline(
        self,
        text: str | None = None,
        *,
        sound: Sound | None = None,
        live: bool = False,
        **fields: Any,
    ) -> AsyncGenerator[PipelineEvent]:
        """Ask the preferred pipeline's agent, and yield the events of the run as they come.

        text: what is asked; if it is spoken instead, sound: the speech, and the answer is spoken,
        too. live: the speech comes as fast as somebody speaks, and Home Assistant finds its end;
        otherwise it ends with the sound. fields: further fields of `assist_pipeline/run`, such as
        conversation_id and device_id.
        """
        spoken = {"start_stage": "stt", "end_stage": "tts"}
        stages = spoken if sound else {"start_stage": "intent", "end_stage": "intent"}
        asks = {"sample_rate": sound.rate, "no_vad": not live} if sound else {"text": text}
        speaking: asyncio.Task[None] | None = None
        async with self._connection() as connection:
            asked = time.perf_counter()
            await connection.send_json(
                {"id": 1, "type": "assist_pipeline/run", **stages, "input": asks, **fields}
            )
            _result(await connection.receive_json())
            try:
                while True:
                    event = (await connection.receive_json())["event"]
                    if sound and event["type"] == "run-start":
                        handler = event["data"]["runner_data"]["stt_binary_handler_id"]
                        asked = time.perf_counter()
                        speaking = asyncio.create_task(
                            _speak(connection, handler, sound, live=live)
                        )
                    after = time.perf_counter() - asked
                    yield PipelineEvent(event["type"], event["data"] or {}, after)
                    if event["type"] == "run-end":
                        return
            finally:
                if speaking:
                    speaking.cancel()

    async def audio(self, path: str) -> AsyncGenerator[bytes]:
        """Yield the pieces of an audio file as they come; raises HomeAssistantError."""
        async with self._session.get(self.base_url + path) as response:
            if not response.ok:
                raise HomeAssistantError(f"GET {path}: {response.status}")
            async for piece in response.content.iter_any():
                yield piece

    async def ask(self, text: str, **fields: Any) -> AssistAnswer:
        """Ask the preferred pipeline's agent and return the whole answer."""
        answer = AssistAnswer()
        async for event in self.run_pipeline(text, **fields):
            answer.add(event)
        return answer


async def _speak(
    connection: aiohttp.ClientWebSocketResponse, handler: int, sound: Sound, *, live: bool
) -> None:
    """Send speech: each piece behind the number of who takes it, and at the end only that."""
    began = time.perf_counter()
    sent = 0
    for piece in sound.chunks():
        await connection.send_bytes(bytes([handler]) + piece)
        sent += len(piece)
        if live:
            await asyncio.sleep(began + sound.seconds(sent) - time.perf_counter())
    await connection.send_bytes(bytes([handler]))


def _result(message: Mapping[str, Any]) -> Any:
    if not message.get("success"):
        raise HomeAssistantError(str(message.get("error")))
    return message.get("result")
