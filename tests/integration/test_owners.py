"""The owner of a conversation, and who may do what with it."""

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from homeassistant.auth.const import GROUP_ID_ADMIN, GROUP_ID_READ_ONLY, GROUP_ID_USER
from homeassistant.auth.models import TOKEN_TYPE_LONG_LIVED_ACCESS_TOKEN
from homeassistant.components import conversation
from homeassistant.core import Context
from homeassistant.exceptions import ServiceValidationError

from .conftest import AGENT, agent_of
from .peers import stream_events
from .talk import PROPS, forget_sessions, no_slots, piece, said_in, speech, sse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from .conftest import AddServer
    from .peers import Peers

    type Act = Callable[..., Awaitable[dict[str, Any]]]
    type Say = Callable[..., Awaitable[conversation.ConversationResult]]

pytestmark = pytest.mark.usefixtures("home")

GROUPS = {
    "anna": GROUP_ID_USER,
    "bea": GROUP_ID_USER,
    "guest": GROUP_ID_READ_ONLY,
    "admin": GROUP_ID_ADMIN,
}
# An automation and a voice satellite have no user.
AUTOMATION = "automation"
REFUSAL = "This conversation belongs to another user."


@pytest.fixture
async def users(home: HomeAssistant) -> dict[str, str | None]:
    """Return the ids of some users by name."""
    # The first user owns the installation.
    await home.auth.async_create_user("owner", group_ids=[GROUP_ID_ADMIN])
    ids: dict[str, str | None] = {AUTOMATION: None}
    for name, group in GROUPS.items():
        ids[name] = (await home.auth.async_create_user(name, group_ids=[group])).id
    return ids


@pytest.fixture
def act(home: HomeAssistant, users: dict[str, str | None]) -> Act:
    """Return a function that runs an action as a user."""

    async def run(user: str, action: str, **data: Any) -> dict[str, Any]:
        response = await home.services.async_call(
            "llamacpp",
            action,
            data,
            blocking=True,
            return_response=True,
            context=Context(user_id=users[user]),
        )
        assert isinstance(response, dict)
        return dict(response)

    return run


@pytest.fixture
def say(home: HomeAssistant, users: dict[str, str | None]) -> Say:
    """Return a function that says something in Assist as a user."""

    async def run(
        user: str, text: str, conversation_id: str | None = None, language: str = "en"
    ) -> conversation.ConversationResult:
        context = Context(user_id=users[user])
        return await conversation.async_converse(
            home, text, conversation_id, context, language=language, agent_id=AGENT
        )

    return run


@pytest.fixture
async def requests(add_server: AddServer, peers: Peers) -> list[Any]:
    """Set up a server with one answer for everything, and return its requests.

    Prefills are not among them.
    """
    requests: list[Any] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path == "/health":
            return web.json_response({"status": "ok"})
        if request.path == "/props":
            return web.json_response(PROPS)
        if request.path.startswith("/slots/"):
            return no_slots()
        body = await request.json()
        if body.get("max_tokens") != 1:
            requests.append(body)
        return await stream_events(request, sse(piece(content="Yes."), piece("stop")))

    await add_server(await peers.http(handle))
    return requests


def entry_of(hass: HomeAssistant) -> ConfigEntry[Any]:
    """Return the only server."""
    [entry] = hass.config_entries.async_entries("llamacpp")
    return entry


def make_older(tmp_path: Path, conversation_id: str) -> None:
    """Change the stored file of a conversation into one of version 1.1."""
    [path] = tmp_path.glob(f"config/.storage/llamacpp.history/*/{conversation_id}*")
    document = json.loads(path.read_text())
    assert document["data"].pop("user_id")
    assert document["data"].pop("title")
    path.write_text(json.dumps(document | {"minor_version": 1}))


async def begin(way: str, user: str, act: Act, say: Say) -> str:
    """Start a conversation by Assist or an action, and return its id."""
    if way == "assist":
        conversation_id = (await say(user, "My PIN is 4711.")).conversation_id
        assert conversation_id
        return conversation_id
    conversation_id = str((await act(user, "start"))["conversation_id"])
    if way == "action":
        await act(user, "send", conversation_id=conversation_id, message="My PIN is 4711.")
    return conversation_id


async def continued(
    way: str, user: str, conversation_id: str, act: Act, say: Say
) -> tuple[bool, str | None]:
    """Continue a conversation; return whether it was allowed, and the id."""
    if way == "assist":
        result = await say(user, f"Hello from {user}", conversation_id)
        return speech(result) == "Yes.", result.conversation_id
    try:
        response = await act(
            user, "send", conversation_id=conversation_id, message=f"Hello from {user}"
        )
    except ServiceValidationError:
        return False, None
    return True, response["conversation_id"]


@pytest.mark.parametrize("way", ["assist", "action", "empty"])
@pytest.mark.parametrize("user", ["bea", "guest"])
@pytest.mark.parametrize("live", [True, False])
async def test_the_conversation_of_another_user(  # noqa: PLR0913, PLR0917 - fixtures
    home: HomeAssistant, requests: list[Any], act: Act, say: Say, way: str, user: str, *, live: bool
) -> None:
    """It cannot be listed, read, continued or closed, with or without a session."""
    conversation_id = await begin(way, "anna", act, say)
    mine = await act("anna", "history", conversation_id=conversation_id)
    n_requests = len(requests)
    if not live:
        forget_sessions(home)
    assert (await act(user, "list"))["conversations"] == []
    for action, data in (("history", {}), ("send", {"message": "What is it?"}), ("close", {})):
        with pytest.raises(ServiceValidationError) as caught:
            await act(user, action, conversation_id=conversation_id, **data)
        assert caught.value.translation_key == "conversation_not_yours"
    result = await say(user, "What is my PIN?", conversation_id)
    assert speech(result) == REFUSAL
    assert result.conversation_id is None
    assert len(requests) == n_requests

    # It is unchanged, and can be continued.
    assert await act("anna", "history", conversation_id=conversation_id) == mine
    assert await continued("assist", "anna", conversation_id, act, say) == (True, conversation_id)
    told = [] if way == "empty" else ["My PIN is 4711.", "Yes."]
    assert said_in(requests[-1]) == [*told, "Hello from anna"]


async def test_the_refusal_is_translated(requests: list[Any], act: Act, say: Say) -> None:
    """The error is in the speaker's language."""
    conversation_id = await begin("action", "anna", act, say)
    result = await say("bea", "Qual è il mio PIN?", conversation_id, "it")
    assert speech(result) == "Questa conversazione appartiene a un altro utente."
    assert len(requests) == 1


@pytest.mark.parametrize("user", ["admin", AUTOMATION])
async def test_admins_and_automations(
    requests: list[Any], act: Act, say: Say, users: dict[str, str | None], user: str
) -> None:
    """They may do everything, and the owner stays."""
    assert requests == []
    for way in ("assist", "action"):
        conversation_id = await begin(way, "anna", act, say)
        listed = {one["conversation_id"]: one for one in (await act(user, "list"))["conversations"]}
        assert listed[conversation_id]["user"] == "anna"
        assert listed[conversation_id]["user_id"] == users["anna"]
        assert listed[conversation_id]["title"] == "My PIN is 4711."
        for again in ("action", "assist"):
            assert await continued(again, user, conversation_id, act, say) == (
                True,
                conversation_id,
            )
        assert len((await act(user, "history", conversation_id=conversation_id))["messages"]) == 6
        assert await continued("assist", "bea", conversation_id, act, say) == (False, None)
        assert (await continued("assist", "anna", conversation_id, act, say))[0]
        await act(user, "close", conversation_id=conversation_id)


async def test_users_who_may_only_read(requests: list[Any], act: Act, say: Say) -> None:
    """They may not have an agent work by an action, but may read their own."""
    for action, data in (("chat", {"message": "Hello"}), ("start", {})):
        with pytest.raises(ServiceValidationError) as caught:
            await act("guest", action, **data)
        assert caught.value.translation_key == "control_not_allowed"
        assert caught.value.translation_placeholders == {"agent": AGENT}
    assert requests == []
    # Home Assistant lets them speak to agents.
    conversation_id = await begin("assist", "guest", act, say)
    listed = (await act("guest", "list"))["conversations"]
    assert [one["conversation_id"] for one in listed] == [conversation_id]
    assert len((await act("guest", "history", conversation_id=conversation_id))["messages"]) == 2
    for action, data in (("send", {"message": "Hello"}), ("close", {})):
        with pytest.raises(ServiceValidationError) as caught:
            await act("guest", action, conversation_id=conversation_id, **data)
        assert caught.value.translation_key == "control_not_allowed"


async def test_a_user_who_was_deleted(
    home: HomeAssistant, users: dict[str, str | None], requests: list[Any], act: Act
) -> None:
    """A session of a deleted user opens nothing."""
    assert users["bea"]
    user = await home.auth.async_get_user(users["bea"])
    assert user
    await home.auth.async_remove_user(user)
    with pytest.raises(ServiceValidationError) as caught:
        await act("bea", "chat", message="Hello")
    assert caught.value.translation_key == "control_not_allowed"
    assert requests == []


async def test_a_conversation_that_is_not_stored(
    home: HomeAssistant, requests: list[Any], act: Act, say: Say
) -> None:
    """It has its owner as long as Home Assistant remembers it."""
    entry = entry_of(home)
    options = {**agent_of(entry).data, "keep_history": False}
    home.config_entries.async_update_subentry(entry, agent_of(entry), data=options)
    await home.async_block_till_done()
    conversation_id = await begin("assist", "anna", act, say)
    assert await continued("assist", "bea", conversation_id, act, say) == (False, None)
    assert (await continued("assist", AUTOMATION, conversation_id, act, say))[0]
    assert await continued("assist", "anna", conversation_id, act, say) == (True, conversation_id)
    assert said_in(requests[-1])[::2] == [
        "My PIN is 4711.",
        "Hello from automation",
        "Hello from anna",
    ]


@pytest.mark.parametrize("first", ["assist", "action"])
@pytest.mark.parametrize("again", ["assist", "action"])
async def test_a_conversation_that_is_resumed(  # noqa: PLR0913, PLR0917 - fixtures
    home: HomeAssistant, requests: list[Any], act: Act, say: Say, first: str, again: str
) -> None:
    """After five minutes or a restart it continues under its id, with its earlier turns."""
    conversation_id = await begin(first, "anna", act, say)
    for reload in (False, True):
        forget_sessions(home)
        if reload:
            await home.config_entries.async_reload(entry_of(home).entry_id)
        assert await continued(again, "anna", conversation_id, act, say) == (True, conversation_id)
    assert said_in(requests[-1])[::2] == ["My PIN is 4711.", *["Hello from anna"] * 2]
    [listed] = (await act("anna", "list"))["conversations"]
    assert (listed["conversation_id"], listed["message_count"]) == (conversation_id, 6)
    told = await act("anna", "send", conversation_id=conversation_id, message="Thank you")
    assert told["message_count"] == 8


async def test_a_closed_conversation_is_not_resumed(
    home: HomeAssistant, requests: list[Any], act: Act, say: Say
) -> None:
    """Assist starts another one, with a new id."""
    conversation_id = await begin("assist", "anna", act, say)
    await act("anna", "close", conversation_id=conversation_id)
    forget_sessions(home)
    result = await say("anna", "Hello", conversation_id)
    assert result.conversation_id != conversation_id
    assert said_in(requests[-1]) == ["Hello"]


@pytest.mark.parametrize("ways", [("assist", "action", "assist"), ("action", "assist", "action")])
async def test_whoever_comes_first(
    home: HomeAssistant, requests: list[Any], act: Act, say: Say, ways: tuple[str, ...]
) -> None:
    """In any order of users and ways, a conversation belongs to its first user.

    So a user can continue an automation's conversation, and vice versa.
    """
    assert requests == []
    names = ("anna", "bea", AUTOMATION)
    for users in itertools.product(names, repeat=len(ways)):
        conversation_id = await begin(ways[0], users[0], act, say)
        allowed, owner = 1, users[0]
        for way, user in zip(ways[1:], users[1:], strict=True):
            owner = user if owner == AUTOMATION else owner
            expected = user in {owner, "admin", AUTOMATION}
            kept = conversation_id if expected else None
            assert await continued(way, user, conversation_id, act, say) == (expected, kept), users
            allowed += expected
        told = await act("admin", "history", conversation_id=conversation_id)
        assert len(told["messages"]) == 2 * allowed
        forget_sessions(home)


@pytest.mark.parametrize("action", ["start", "chat", "assist"])
async def test_a_flood(
    home: HomeAssistant, requests: list[Any], act: Act, say: Say, action: str
) -> None:
    """However many conversations a user starts, those of others stay."""
    assert requests == []
    home.config_entries.async_update_entry(entry_of(home), options={"keep_conversations": 6})
    await home.async_block_till_done()
    mine = [await begin(way, "anna", act, say) for way in ("assist", "action", "empty")]
    for number in range(20):
        if action == "assist":
            await say("bea", "Hello")
        else:
            await act("bea", action, **({"message": "Hello"} if action == "chat" else {}))
        if number == 10:
            await home.config_entries.async_reload(entry_of(home).entry_id)
    listed = (await act("admin", "list"))["conversations"]
    assert set(mine) <= {one["conversation_id"] for one in listed}
    for conversation_id in mine:
        assert (await continued("action", "anna", conversation_id, act, say))[0]


async def test_owners_of_an_older_version(
    home: HomeAssistant, requests: list[Any], act: Act, say: Say, tmp_path: Path
) -> None:
    """It stored the user of each turn only: the first one becomes the owner."""
    conversation_id = await begin("action", AUTOMATION, act, say)
    await act("anna", "send", conversation_id=conversation_id, message="Hello")
    assert len(requests) == 2
    make_older(tmp_path, conversation_id)
    await home.config_entries.async_reload(entry_of(home).entry_id)
    forget_sessions(home)
    [listed] = (await act("anna", "list"))["conversations"]
    assert listed["title"] == "My PIN is 4711."
    assert await continued("action", "bea", conversation_id, act, say) == (False, None)
    assert await continued("action", "anna", conversation_id, act, say) == (True, conversation_id)


async def test_a_pipeline(  # noqa: PLR0913, PLR0917 - fixtures
    home: HomeAssistant,
    users: dict[str, str | None],
    requests: list[Any],
    act: Act,
    say: Say,
    hass_ws_client: Callable[..., Awaitable[Any]],
) -> None:
    """In a voice assistant, too, no user continues another's conversation."""
    conversation_id = await begin("action", "anna", act, say)
    forget_sessions(home)
    client = await hass_ws_client(home)
    await client.send_json_auto_id({"type": "assist_pipeline/pipeline/list"})
    pipeline = (await client.receive_json())["result"]["pipelines"][0]
    values = {name: one for name, one in pipeline.items() if name != "id"}
    await client.send_json_auto_id(
        {
            "type": "assist_pipeline/pipeline/update",
            "pipeline_id": pipeline["id"],
            **values,
            "conversation_engine": AGENT,
        }
    )
    assert (await client.receive_json())["success"]

    async def run(name: str) -> dict[str, Any]:
        user_id = users[name]
        assert user_id
        user = await home.auth.async_get_user(user_id)
        assert user
        token = await home.auth.async_create_refresh_token(
            user, client_name=name, token_type=TOKEN_TYPE_LONG_LIVED_ACCESS_TOKEN
        )
        client = await hass_ws_client(home, home.auth.async_create_access_token(token))
        await client.send_json_auto_id(
            {
                "type": "assist_pipeline/run",
                "start_stage": "intent",
                "end_stage": "intent",
                "input": {"text": f"Hello from {name}"},
                "conversation_id": conversation_id,
            }
        )
        while True:
            event = (await client.receive_json()).get("event") or {}
            if event.get("type") in {"intent-end", "error"}:
                data: dict[str, Any] = event["data"]
                return data

    told = await run("bea")
    assert told["intent_output"]["response"]["speech"]["plain"]["speech"] == REFUSAL
    assert len(requests) == 1
    told = await run("anna")
    assert told["intent_output"]["response"]["speech"]["plain"]["speech"] == "Yes."
    assert said_in(requests[-1]) == ["My PIN is 4711.", "Yes.", "Hello from anna"]
