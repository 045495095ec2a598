"""The dashboard card: its conversations over WebSocket, and its file."""

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.auth.const import GROUP_ID_ADMIN, GROUP_ID_USER
from homeassistant.components.frontend import DATA_EXTRA_MODULE_URL
from homeassistant.helpers.chat_session import DATA_CHAT_SESSION
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import CLIENT_ID

from custom_components.llamacpp.card import CARD, CARD_URL, async_register_card
from custom_components.llamacpp.const import CONF_EXACT_FIRST, DOMAIN

from .conftest import AGENT, agent_of
from .script import OTHERWISE, STORY, THINK, TURN_ON_KITCHEN
from .talk import llama_peer, state_of, until_busy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from homeassistant.core import HomeAssistant
    from pytest_homeassistant_custom_component.typing import (
        ClientSessionGenerator,
        MockHAClientWebSocket,
        WebSocketGenerator,
    )

    from dev.llama import LlamaServer

    from .conftest import AddServer
    from .peers import Peers

    type SignIn = Callable[..., Awaitable[MockHAClientWebSocket]]

# Every page loads the card with all its parts: a phone must not wait for it.
MAX_BYTES = 40_000


@pytest.fixture
async def sign_in(home: HomeAssistant, hass_ws_client: WebSocketGenerator) -> SignIn:
    """Return a function that opens a connection as a new user."""
    # The first user owns the installation.
    await home.auth.async_create_user("owner", group_ids=[GROUP_ID_ADMIN])

    async def connect(name: str, group: str = GROUP_ID_USER) -> MockHAClientWebSocket:
        user = await home.auth.async_create_user(name, group_ids=[group])
        token = await home.auth.async_create_refresh_token(user, CLIENT_ID)
        return await hass_ws_client(home, home.auth.async_create_access_token(token))

    return connect


async def converse(
    client: MockHAClientWebSocket, message: str, **fields: Any
) -> list[dict[str, Any]]:
    """Say something; return all events until the end."""
    await client.send_json_auto_id({"type": "llamacpp/converse", "message": message, **fields})
    accepted = await client.receive_json()
    assert accepted["success"], accepted
    events: list[dict[str, Any]] = []
    while not events or events[-1]["type"] != "end":
        events.append((await client.receive_json())["event"])
    return events


async def act(client: MockHAClientWebSocket, service: str, **data: Any) -> dict[str, Any]:
    """Run an action as the card does; return its message."""
    await client.send_json_auto_id(
        {
            "type": "call_service",
            "domain": DOMAIN,
            "service": service,
            "service_data": data,
            "return_response": True,
        }
    )
    return dict(await client.receive_json())


async def listed(client: MockHAClientWebSocket, **data: Any) -> list[dict[str, Any]]:
    """Return the card's list of conversations."""
    answer = await act(client, "list", mine=True, **data)
    return list(answer["result"]["response"]["conversations"])


async def refusal(client: MockHAClientWebSocket, **fields: Any) -> dict[str, Any]:
    """Send what is rejected; return the error."""
    await client.send_json_auto_id({"type": "llamacpp/converse", **fields})
    answer = await client.receive_json()
    assert answer["success"] is False
    return dict(answer["error"])


def words(events: list[dict[str, Any]]) -> str:
    """Return the streamed text."""
    return "".join(one.get("content", "") for one in events)


async def test_an_answer_as_it_comes(
    add_server: AddServer, sign_in: SignIn, scripted_server: LlamaServer
) -> None:
    """Text is streamed, thoughts are not; the last event has id, text and tokens."""
    await add_server(scripted_server.base_url)
    client = await sign_in("anna")
    *deltas, end = await converse(client, STORY)
    assert len(deltas) > 3
    assert deltas[0] == {"type": "delta", "role": "assistant"}
    assert words(deltas) == end["speech"]
    assert end["error"] is False
    usage = end["usage"]
    assert usage["prompt_tokens"] > usage["cached_tokens"] >= 0
    assert usage["completion_tokens"] > 3
    assert usage["tokens_per_second"] > 0
    [conversation] = await listed(client)
    assert conversation["conversation_id"] == end["conversation_id"]
    assert conversation["title"] == STORY
    assert words(await converse(client, THINK)) == "Mostly cheese."


async def test_tools(
    home: HomeAssistant, add_server: AddServer, sign_in: SignIn, scripted_server: LlamaServer
) -> None:
    """Orders are carried out as in Assist."""
    await add_server(scripted_server.base_url)
    client = await sign_in("anna")
    assert state_of(home, "light.kitchen_light").state == "off"
    end = (await converse(client, TURN_ON_KITCHEN, agent=AGENT, language="en"))[-1]
    assert end["speech"] == "The kitchen light is on now."
    assert state_of(home, "light.kitchen_light").state == "on"


async def test_without_the_model(
    home: HomeAssistant, add_server: AddServer, sign_in: SignIn, peers: Peers
) -> None:
    """Home Assistant's own answer is in the last event, in the user's language."""
    url, requests = await llama_peer(peers)
    entry = await add_server(url)
    agent = agent_of(entry)
    home.config_entries.async_update_subentry(
        entry, agent, data={**agent.data, CONF_EXACT_FIRST: True}
    )
    await home.async_block_till_done()
    client = await sign_in("anna")
    [end] = await converse(client, "accendi Kitchen Light", language="it")
    assert end["speech"]
    assert (end["error"], end["usage"]) == (False, None)
    assert state_of(home, "light.kitchen_light").state == "on"
    assert requests == []


async def test_a_conversation_of_yesterday(
    home: HomeAssistant, add_server: AddServer, sign_in: SignIn, scripted_server: LlamaServer
) -> None:
    """It continues under its id, although Home Assistant has forgotten it, until it is closed."""
    await add_server(scripted_server.base_url)
    client = await sign_in("anna")
    first = (await converse(client, STORY))[-1]["conversation_id"]
    for session in home.data[DATA_CHAT_SESSION].values():
        session.async_cleanup()
    home.data[DATA_CHAT_SESSION].clear()
    end = (await converse(client, "Hello", conversation_id=first))[-1]
    assert (end["conversation_id"], end["speech"]) == (first, OTHERWISE)
    [conversation] = await listed(client)
    assert conversation["message_count"] == 4
    assert (await act(client, "close", conversation_id=first))["success"]
    refused = await refusal(client, message="Hello", conversation_id=first)
    assert refused["translation_key"] == "conversation_closed"
    assert [(one["closed"], one["message_count"]) for one in await listed(client)] == [(True, 4)]


async def test_whose_it_is(
    add_server: AddServer, sign_in: SignIn, scripted_server: LlamaServer
) -> None:
    """No user sees, reads, continues or closes another's; an admin's are separate."""
    await add_server(scripted_server.base_url)
    anna, bea = await sign_in("anna"), await sign_in("bea")
    admin = await sign_in("admin", GROUP_ID_ADMIN)
    secret = (await converse(anna, STORY))[-1]["conversation_id"]
    assert await listed(bea) == await listed(admin) == []
    for service in ("history", "close"):
        refused = await act(bea, service, conversation_id=secret)
        assert refused["error"]["translation_key"] == "conversation_not_yours"
    [end] = await converse(bea, "What did I say?", conversation_id=secret, language="it")
    assert end["error"] is True
    assert end["speech"] == "Questa conversazione appartiene a un altro utente."
    assert [one["message_count"] for one in await listed(anna)] == [2]
    own = (await converse(admin, "Hello"))[-1]["conversation_id"]
    assert [one["conversation_id"] for one in await listed(admin)] == [own]
    # Administrators may do so by the action, not in the card.
    everybodys = (await act(admin, "list"))["result"]["response"]["conversations"]
    assert {one["conversation_id"] for one in everybodys} == {own, secret}


async def test_refusals(
    add_server: AddServer, sign_in: SignIn, peers: Peers, own_server: LlamaServer
) -> None:
    """The error comes immediately, with what the card needs to translate it."""
    entry = await add_server(own_server.base_url)
    client = await sign_in("anna")
    for fields, key in (
        ({"message": " "}, "message_empty"),
        ({"message": "x" * 32_001}, "message_too_long"),
        ({"message": "Hello", "agent": "conversation.missing"}, "agent_unknown"),
    ):
        error = await refusal(client, **fields)
        assert (error["translation_domain"], error["translation_key"]) == (DOMAIN, key)
        assert error["message"]
    url, _ = await llama_peer(peers)
    await add_server(url)
    assert (await refusal(client, message="Hello"))["translation_key"] == "agent_required"
    own_server.stop()
    end = (await converse(client, "Hello", agent=AGENT, language="it"))[-1]
    assert end["error"] is True
    assert "il server del modello" in end["speech"]
    await entry.runtime_data.coordinator.async_refresh()
    refused = await refusal(client, message="Hello", agent=AGENT)
    assert refused["translation_key"] == "agent_unavailable"
    assert await listed(client) == []


async def test_stop(add_server: AddServer, sign_in: SignIn, own_server: LlamaServer) -> None:
    """Unsubscribing stops the server, too; the message is forgotten."""
    entry = await add_server(own_server.base_url)
    client = await sign_in("anna")
    await client.send_json_auto_id({"type": "llamacpp/converse", "message": "Think for ever"})
    accepted = await client.receive_json()
    async with asyncio.timeout(60):
        await until_busy(entry.runtime_data.client, busy=True)
    await client.send_json_auto_id({"type": "unsubscribe_events", "subscription": accepted["id"]})
    async with asyncio.timeout(60):
        while (await client.receive_json())["type"] != "result":
            pass
        await until_busy(entry.runtime_data.client, busy=False)
    assert await listed(client) == []


async def test_pages_load_it(
    hass: HomeAssistant, hass_client_no_auth: ClientSessionGenerator
) -> None:
    """Its URL changes with the content, needs no login, and the file is small."""
    assert await async_setup_component(hass, "frontend", {})
    await async_register_card(hass)
    [url] = [one for one in hass.data[DATA_EXTRA_MODULE_URL].urls if DOMAIN in one]
    assert re.fullmatch(re.escape(CARD_URL) + r"\?[0-9a-f]{8}", url)
    client = await hass_client_no_auth()
    answer = await client.get(url)
    assert "javascript" in answer.headers["Content-Type"]
    content = await answer.read()
    assert content == await hass.async_add_executor_job(CARD.read_bytes)
    assert len(content) < MAX_BYTES


def test_texts() -> None:
    """All languages of the card have the same keys and placeholders."""
    languages: dict[str, dict[str, list[str]]] = {}
    found = re.findall(r"^  (\w\w): \{\n(.+?)^  \},", CARD.read_text(), re.MULTILINE | re.DOTALL)
    for language, block in found:
        texts = dict(re.findall(r'^    (\w+): "(.*)",$', block, re.MULTILINE))
        languages[language] = {
            key: sorted(re.findall(r"\{\w+\}", text)) for key, text in texts.items()
        }
        assert len(texts) == len(block.splitlines())
    assert languages.keys() >= {"en", "it"}
    assert languages["en"] == languages["it"]
    used = set(re.findall(r'[tT]ext(?:In)?\((?:[\w.]+, )?"(\w+)"', CARD.read_text()))
    assert used <= languages["en"].keys()
