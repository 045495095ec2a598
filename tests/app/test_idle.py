"""A model that nobody asks leaves the memory, and is back for the next one who does."""

import asyncio
import contextlib
import json
import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from custom_components.llamacpp.client import LlamaServerClient
from dev.llama import path_from_environment
from dev.processes import LOOPBACK, free_port
from llamacpp_app import runner as module
from llamacpp_app.application import run_app
from llamacpp_app.logs import Newest
from llamacpp_app.startup import Setup
from tests.app.running_app import lay_models

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    type MakeIdle = Callable[..., Awaitable[IdleApp]]

pytestmark = pytest.mark.usefixtures("socket_enabled")

WAIT_SECONDS = 60.0
KEY = "key-of-a-test"
CHAT = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}


@dataclass
class IdleApp:
    """An app whose minutes are short, and what asks it."""

    session: aiohttp.ClientSession
    server: str
    api: str
    slots: Path

    async def ask(
        self, method: str, url: str, body: object = None, key: str = KEY
    ) -> tuple[int, Any]:
        """Return the status and the JSON of an answer."""
        headers = {"Authorization": f"Bearer {key}"}
        async with self.session.request(method, url, json=body, headers=headers) as response:
            return response.status, json.loads(await response.text())

    async def preflights(self) -> list[dict[str, str]]:
        """Return what browsers are told before pages of these origins may ask."""
        told = []
        for origin in (
            "http://localhost:3000",
            "https://[::1]",
            "http://evil.org",
            "ftp://localhost",
        ):
            url, headers = f"{self.server}/v1/chat/completions", {"Origin": origin}
            async with self.session.options(url, headers=headers) as response:
                assert response.status == 200
                told.append(
                    {
                        name: value
                        for name, value in response.headers.items()
                        if name.startswith("Access-Control-")
                    }
                )
        return told

    async def health(self) -> dict[str, Any]:
        """Return what the API tells of the app."""
        _, told = await self.ask("GET", f"{self.api}/api/health")
        return dict(told)

    async def until(self, **expected: str) -> None:
        """Wait until the health has these values."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    if expected.items() <= (await self.health()).items():
                        return
                await asyncio.sleep(0.05)


@pytest.fixture
async def make_idle(
    tmp_path: Path, model: Path, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[MakeIdle]:
    """Return what starts an app with these models, whose minutes are seconds."""
    running: list[asyncio.Task[None]] = []

    async def make(*names: str, seconds: float = 1.0, **options: str) -> IdleApp:
        monkeypatch.setattr(module, "MINUTE_SECONDS", seconds)
        monkeypatch.setattr(module, "IDLE_POLL_SECONDS", 0.1)
        lay_models(tmp_path, model, names)
        (tmp_path / "data").mkdir()
        server, api, ingress = (str(free_port()) for _ in range(3))
        values = {
            "DATA_DIR": str(tmp_path / "data"),
            "CONFIG_DIR": str(tmp_path / "config"),
            "LLAMA_DIR": str(path_from_environment("LLAMACPP_SERVER").parent),
            "BIND_ADDRESS": LOOPBACK,
            "SERVER_PORT": server,
            "API_PORT": api,
            "INGRESS_PORT": ingress,
            "API_KEY": KEY,
            "IDLE_MINUTES": "1",
            "THREADS": "1",
            "CONTEXT_SIZE": "512",
            "MODEL_URL": f"http://{LOOPBACK}:1/{names[0]}.gguf",
            **{name.upper(): value for name, value in options.items()},
        }
        setup = Setup.of(values)
        running.append(asyncio.create_task(run_app(setup, session, Newest([]))))
        app = IdleApp(
            session,
            f"http://{LOOPBACK}:{server}",
            f"http://{LOOPBACK}:{api}",
            tmp_path / "data" / "slots",
        )
        await app.until(status="ok")
        return app

    yield make
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def server_of_this_process() -> int:
    """Return the process id of the newest llama-server that this process has started."""
    found = [
        int(child)
        for children in Path("/proc/self/task").glob("*/children")
        for child in children.read_text().split()
        if "llama-server" in Path("/proc", child, "cmdline").read_text()
    ]
    return max(found)


async def test_who_looks_does_not_wake_it(make_idle: MakeIdle) -> None:
    """Asleep, the port answers as before, asks for the key, and llama-server is gone."""
    app = await make_idle("smol")
    _, awake = await app.ask("GET", f"{app.server}/props")
    _, models = await app.ask("GET", f"{app.server}/v1/models")
    preflights = await app.preflights()
    assert not awake["is_sleeping"]
    # Nor do those who look keep it awake.
    async with asyncio.timeout(WAIT_SECONDS):
        while (await app.health())["llama_server"] != "sleeping":
            for path in ("/props", "/health", "/v1/models", "/metrics"):
                headers = {"Authorization": f"Bearer {KEY}"}
                async with app.session.get(app.server + path, headers=headers) as response:
                    assert response.status == 200
            await asyncio.sleep(0.1)
    async with asyncio.timeout(WAIT_SECONDS):
        while (await app.health())["memory_bytes"] is not None:  # noqa: ASYNC110 - a state
            await asyncio.sleep(0.05)
    health = await app.health()
    assert (health["status"], health["message"]) == ("ok", None)
    _, told = await app.ask("GET", f"{app.api}/api/models")
    assert [one["memory"] for one in told["models"]] == ["sleeping"]
    _, props = await app.ask("GET", f"{app.server}/props")
    assert props == {**awake, "is_sleeping": True}
    _, told = await app.ask("GET", f"{app.server}/v1/models")
    assert [one["id"] for one in told["data"]] == ["smol"]
    assert told["data"][0]["meta"] == models["data"][0]["meta"]
    assert await app.ask("GET", f"{app.server}/props?model=any") == (200, props)
    assert await app.ask("GET", f"{app.server}/health", key="") == (200, {"status": "ok"})
    for method, path in (("GET", "/props"), ("GET", "/v1/models"), ("POST", "/v1/completions")):
        body = {"prompt": "a"} if method == "POST" else None
        status, error = await app.ask(method, app.server + path, body, key="wrong")
        assert (status, error["error"]["type"]) == (401, "authentication_error")
    assert await app.preflights() == preflights
    assert (await app.health())["llama_server"] == "sleeping"


async def test_who_asks_wakes_it(make_idle: MakeIdle) -> None:
    """At both ports: the answer waits, streams, and is another server's."""
    app = await make_idle("smol", seconds=3.0)
    _, before = await app.ask("GET", f"{app.server}/props")
    await app.until(llama_server="sleeping")
    headers = {"Authorization": f"Bearer {KEY}"}
    url = f"{app.server}/v1/chat/completions"
    body = {**CHAT, "stream": True}
    async with app.session.post(url, json=body, headers=headers) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        lines = [line async for line in response.content]
    assert lines[-2] == b"data: [DONE]\n"
    _, after = await app.ask("GET", f"{app.server}/props")
    assert not after["is_sleeping"]
    # By it, clients know that processed prompts are gone, and can be restored.
    assert after["media_marker"] != before["media_marker"]
    await app.until(llama_server="sleeping")
    status, answer = await app.ask(
        "POST", f"{app.api}/api/chat", {"message": "Hi", "max_tokens": 4}
    )
    assert (status, answer["usage"]["completion_tokens"] > 0) == (200, True)
    assert (await app.health())["crashes"] == 0


async def test_a_processed_prompt_is_restored(make_idle: MakeIdle) -> None:
    """What was saved before the sleep is read after it."""
    app = await make_idle("smol", seconds=3.0)
    prompt = {"prompt": "The lamp in the kitchen is on. " * 8, "n_predict": 1, "id_slot": 0}
    await app.ask("POST", f"{app.server}/completion", prompt)
    file = {"filename": "a.bin"}
    status, saved = await app.ask("POST", f"{app.server}/slots/0?action=save", file)
    assert status == 200
    await app.until(llama_server="sleeping")
    status, restored = await app.ask("POST", f"{app.server}/slots/0?action=restore", file)
    assert (status, restored["n_restored"]) == (200, saved["n_saved"])
    _, answer = await app.ask("POST", f"{app.server}/completion", prompt)
    assert answer["timings"]["cache_n"] > 0


async def test_requests_that_meet_the_falling_asleep(make_idle: MakeIdle) -> None:
    """Those that come just then are all answered; llama-server never dies of them."""
    app = await make_idle("smol", seconds=1.0, parallel_requests="2")
    for number in range(8):
        # From before that moment to after it, and while llama-server is being stopped.
        await asyncio.sleep(0.8 + 0.07 * number)
        asked = [
            app.ask("POST", f"{app.server}/tokenize", {"content": "The lamp"}) for _ in range(4)
        ]
        asked += [app.ask("POST", f"{app.server}/apply-template", CHAT) for _ in range(4)]
        async with asyncio.timeout(WAIT_SECONDS):
            answers = await asyncio.gather(*asked)
        assert {status for status, _ in answers} == {200}
    assert (await app.health())["crashes"] == 0


async def test_an_answer_under_way_keeps_it_awake(make_idle: MakeIdle) -> None:
    """However long it takes."""
    app = await make_idle("smol", seconds=0.2)
    body = {"prompt": "Once", "n_predict": 300, "ignore_eos": True}
    status, answer = await app.ask("POST", f"{app.server}/completion", body)
    assert (status, answer["tokens_predicted"]) == (200, 300)


async def test_half_an_answer_is_none(make_idle: MakeIdle) -> None:
    """If llama-server dies within it, whoever listens knows, and the next one is answered."""
    app = await make_idle("smol", seconds=60.0)
    headers = {"Authorization": f"Bearer {KEY}"}
    body = {"prompt": "Once", "n_predict": 400, "ignore_eos": True, "stream": True}
    url = f"{app.server}/completion"
    with pytest.raises(aiohttp.ClientPayloadError):  # noqa: PT012 - it is the reading that fails
        async with app.session.post(url, json=body, headers=headers) as response:
            await response.content.readline()
            os.kill(server_of_this_process(), signal.SIGKILL)
            await response.read()
    status, error = await app.ask("POST", f"{app.server}/tokenize", {"content": "a"})
    assert (status, error["error"]["type"]) == (503, "unavailable_error")
    # It is told as well for a moment: the launcher may not know yet that it has died.
    async with asyncio.timeout(WAIT_SECONDS):
        while status != 200:
            await asyncio.sleep(0.1)
            status, _ = await app.ask("POST", f"{app.server}/tokenize", {"content": "a"})


async def test_the_integration_sees_it_sleep(make_idle: MakeIdle) -> None:
    """Its client finds the server that it knows, asleep; what it asks of itself wakes nothing."""
    app = await make_idle("smol", seconds=3.0)
    client = LlamaServerClient(app.session, app.server, api_key=KEY)
    awake = await client.identify()
    await app.until(llama_server="sleeping")
    assert await client.identify() == replace(awake, is_sleeping=True)
    await client.health()
    assert [one.id for one in await client.models()] == ["smol"]
    assert "requests_processing" in await client.metrics()
    assert (await app.health())["llama_server"] == "sleeping"
    assert await client.apply_template([{"role": "user", "content": "Hi"}])
    assert not (await client.props()).is_sleeping


async def test_several_models(make_idle: MakeIdle) -> None:
    """A router is stopped as a whole, and tells its models as before, asleep."""
    models = json.dumps([{"name": "pear", "url": f"http://{LOOPBACK}:1/pear.gguf"}])
    app = await make_idle("apple", "pear", seconds=2.0, models=models)
    await app.until(llama_server="sleeping")
    _, told = await app.ask("GET", f"{app.server}/v1/models")
    statuses = {one["id"]: one["status"]["value"] for one in told["data"]}
    assert statuses == {"apple": "sleeping", "pear": "unloaded"}
    _, props = await app.ask("GET", f"{app.server}/props?model=apple&autoload=false")
    assert props["is_sleeping"]
    _, props = await app.ask("GET", f"{app.server}/props")
    assert props["role"] == "router"
    status, _ = await app.ask("GET", f"{app.server}/props?model=pear&autoload=false")
    assert status == 400
    assert (await app.health())["llama_server"] == "sleeping"
    chat = {**CHAT, "model": "apple"}
    assert (await app.ask("POST", f"{app.server}/v1/chat/completions", chat))[0] == 200


async def test_a_model_that_is_gone_meanwhile(make_idle: MakeIdle) -> None:
    """Who asks for it is told so, and does not wait for ever."""
    app = await make_idle("smol")
    await app.until(llama_server="sleeping")
    (app.slots.parents[1] / "config" / "models" / "smol.gguf").unlink()
    async with asyncio.timeout(WAIT_SECONDS):
        status, answer = await app.ask("POST", f"{app.server}/v1/chat/completions", CHAT)
        assert (status, answer["error"]["type"]) == (503, "unavailable_error")
        assert answer["error"]["message"]
        assert (await app.ask("POST", f"{app.api}/api/chat", {"message": "Hi"}))[0] == 503


async def test_a_wake_that_takes_too_long(
    make_idle: MakeIdle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks is told so at both ports, and whoever asks later gets an answer."""
    app = await make_idle("smol")
    await app.until(llama_server="sleeping")
    monkeypatch.setattr(module, "WAKE_SECONDS", 0.0)
    chat = ("POST", f"{app.server}/v1/chat/completions", CHAT)
    status, answer = await app.ask(*chat)
    assert (status, answer["error"]["type"]) == (503, "unavailable_error")
    assert answer["error"]["message"] == "The model takes too long to wake up."
    monkeypatch.setattr(module, "WAKE_SECONDS", WAIT_SECONDS)
    assert (await app.ask(*chat))[0] == 200
    await app.until(llama_server="sleeping")
    monkeypatch.setattr(module, "WAKE_SECONDS", 0.0)
    assert (await app.ask("POST", f"{app.api}/api/chat", {"message": "Hi"}))[0] == 503


async def test_who_hangs_up_leaves_nothing_behind(make_idle: MakeIdle) -> None:
    """The answer ends at llama-server, too, and does not keep the model in memory."""
    app = await make_idle("smol", seconds=1.0)
    headers = {"Authorization": f"Bearer {KEY}"}
    body = {"prompt": "Once", "n_predict": -1, "ignore_eos": True, "stream": True}
    async with app.session.post(f"{app.server}/completion", json=body, headers=headers) as response:
        await response.content.readline()
        response.close()
    await app.until(llama_server="sleeping")
    assert (await app.health())["crashes"] == 0


async def test_the_model_that_is_chosen_wakes_up(make_idle: MakeIdle) -> None:
    """On the page: the one that sleeps, or another one of the folder."""
    app = await make_idle("smol", "other", seconds=2.0)
    for name in ("smol", "other"):
        await app.until(llama_server="sleeping")
        assert (await app.ask("POST", f"{app.api}/api/models/{name}/load"))[0] == 202
        await app.until(llama_server="ready", model=name)
