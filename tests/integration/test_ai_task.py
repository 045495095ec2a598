"""AI tasks in Home Assistant, answered by a real llama-server."""

import base64
import json
from typing import TYPE_CHECKING

import probatio
import pytest
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import llm
from homeassistant.helpers.selector import BooleanSelector, NumberSelector, SelectSelector

from .conftest import PICTURE
from .script import OTHERWISE
from .talk import PROPS, generate, llama_peer, piece, without_note, words

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer

    from .conftest import AddServer, Attach
    from .peers import Peers

STRUCTURE = probatio.Schema(
    {
        probatio.Required("is_cold"): BooleanSelector(),
        probatio.Required("degrees"): NumberSelector({"min": -50, "max": 50}),
    }
)


async def test_words(
    home: HomeAssistant, add_server: AddServer, scripted_server: LlamaServer
) -> None:
    """Without a structure the answer is the text."""
    await add_server(scripted_server.base_url)
    assert await generate(home) == OTHERWISE


async def test_structure_by_a_real_model(
    home: HomeAssistant, add_server: AddServer, llama_server: LlamaServer
) -> None:
    """Under the schema even a small model returns valid data."""
    entry = await add_server(llama_server.base_url)
    # The grammar allows endless white space, and a small model may like it at any other
    # temperature.
    subentry = next(iter(entry.get_subentries_of_type("ai_task_data")))
    home.config_entries.async_update_subentry(
        entry, subentry, data={"temperature": 0, "max_tokens": 100}
    )
    await home.async_block_till_done()
    skies = ["clear", "cloudy", "dark"]
    structure = probatio.Schema(
        {
            probatio.Required("is_cold"): BooleanSelector(),
            probatio.Required("sky"): SelectSelector({"options": skies}),
        }
    )
    data = await generate(home, structure=structure)
    assert isinstance(data["is_cold"], bool)
    assert data["sky"] in skies


async def test_data_that_does_not_fit_is_asked_for_once_more(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """The model gets the validator's message."""
    good = {"is_cold": True, "degrees": -3}
    url, requests = await llama_peer(
        peers, words('{"is_cold": true, "degrees": 999}'), words(json.dumps(good))
    )
    await add_server(url)
    assert await generate(home, structure=STRUCTURE) == good
    assert requests[0]["response_format"]["json_schema"]["name"] == "Weather"
    assert "tools" not in requests[0]
    assert "This does not fit" in requests[1]["messages"][-1]["content"]


async def test_data_that_never_fits(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """After the second try the automation gets an error with the reason."""
    url, requests = await llama_peer(peers, words("{}"), words('{"is_cold": '))
    await add_server(url)
    with pytest.raises(HomeAssistantError, match="does not fit the structure") as caught:
        await generate(home, structure=STRUCTURE)
    assert caught.value.translation_key == "data_does_not_fit"
    assert len(requests) == 2


async def test_tools_first_then_structure(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """With an API the model may use tools, and then has to return the data."""
    call = {"index": 0, "id": "1", "function": {"name": "llm__GetDateTime", "arguments": "{}"}}
    url, requests = await llama_peer(
        peers,
        [piece(tool_calls=[call]), piece("tool_calls")],
        words("It is cold."),
        words('{"is_cold": true, "degrees": 1}'),
    )
    await add_server(url)
    api = next(one for one in llm.async_get_apis(home) if one.id == llm.LLM_API_ASSIST)
    data = await generate(home, structure=STRUCTURE, llm_api=api)
    assert data == {"is_cold": True, "degrees": 1}
    assert "tools" in requests[1]
    assert "response_format" not in requests[1]
    assert "tools" not in requests[2]
    assert "response_format" in requests[2]


async def test_no_answer(home: HomeAssistant, add_server: AddServer, peers: Peers) -> None:
    """Silence is an error, not data."""
    url, _ = await llama_peer(peers, [piece("stop")])
    await add_server(url)
    with pytest.raises(HomeAssistantError) as caught:
        await generate(home)
    assert caught.value.translation_key == "empty_answer"


async def test_a_server_that_is_gone(
    home: HomeAssistant, add_server: AddServer, own_server: LlamaServer
) -> None:
    """The automation gets an error that the server cannot be reached."""
    await add_server(own_server.base_url)
    own_server.kill()
    with pytest.raises(HomeAssistantError) as caught:
        await generate(home)
    assert caught.value.translation_key == "cannot_connect"


async def test_a_picture_for_a_model_that_sees(
    home: HomeAssistant, add_server: AddServer, peers: Peers, attach: Attach
) -> None:
    """The picture is sent with the words."""
    url, requests = await llama_peer(
        peers, words("A dot."), props=PROPS | {"modalities": {"vision": True}}
    )
    await add_server(url)
    assert await generate(home, attachments=[attach("dot.png", PICTURE)]) == "A dot."
    text, picture = requests[0]["messages"][-1]["content"]
    assert text["type"] == "text"
    assert without_note(text["text"]) == "Look outside."
    head, _, data = picture["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(data) == PICTURE


async def test_a_picture_stays_until_the_data_fits(
    home: HomeAssistant, add_server: AddServer, peers: Peers, attach: Attach
) -> None:
    """The second try has the picture, once and in its place."""
    url, requests = await llama_peer(
        peers,
        words("{}"),
        words('{"is_cold": true, "degrees": 1}'),
        props=PROPS | {"modalities": {"vision": True}},
    )
    await add_server(url)
    picture = attach("dot.png", PICTURE)
    assert await generate(home, structure=STRUCTURE, attachments=[picture])
    first, again = (one["messages"] for one in requests)
    assert again[: len(first)] == first
    assert first[-1]["content"][1]["type"] == "image_url"
    assert again[-1]["content"].startswith("This does not fit")


@pytest.mark.parametrize(
    ("sees", "name", "size", "key"),
    [
        (False, "dot.png", 10, "model_is_blind"),
        (True, "notes.mp3", 10, "attachment_no_image"),
        (True, "huge.png", 20 * 1024 * 1024 + 1, "attachment_too_large"),
    ],
)
async def test_what_cannot_be_shown(  # noqa: PLR0913 - fixtures and parameters
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    attach: Attach,
    *,
    sees: bool,
    name: str,
    size: int,
    key: str,
) -> None:
    """An unsuitable attachment is rejected before a request."""
    url, requests = await llama_peer(peers, props=PROPS | {"modalities": {"vision": sees}})
    await add_server(url)
    with pytest.raises(HomeAssistantError) as caught:
        await generate(home, attachments=[attach(name, b"x" * size)])
    assert caught.value.translation_key == key
    assert requests == []
