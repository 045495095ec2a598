"""Pictures that actions attach to a message."""

import base64
import os
import tempfile
from typing import TYPE_CHECKING, Any, override
from unittest.mock import AsyncMock, Mock

import probatio
import pytest
from homeassistant.components import camera
from homeassistant.components.media_source import MediaSource, PlayMedia
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import (
    MockModule,
    mock_integration,
    mock_platform,
)

from .conftest import PICTURE
from .talk import PROPS, llama_peer, piece

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.components.media_source import MediaSourceItem
    from homeassistant.core import HomeAssistant

    from .conftest import AddServer, Attach
    from .peers import Peers

DOOR = {"media_content_id": "media-source://camera/camera.door"}
SEEING = PROPS | {"modalities": {"vision": True}}
ANSWER = [piece(content="A dot."), piece("stop")]


class Door(camera.Camera):
    """A camera that always sees the same."""

    _attr_name = "Door"

    def __init__(self) -> None:
        """Make a camera whose pictures are PNG files."""
        super().__init__()
        self.content_type = "image/png"

    @override
    async def async_camera_image(
        self, width: int | None = None, height: int | None = None
    ) -> bytes | None:
        return PICTURE


@pytest.fixture
async def door(home: HomeAssistant) -> None:
    """Add a camera."""
    assert await async_setup_component(home, "camera", {})
    await home.data["camera"].async_add_entities([Door()])
    await home.async_block_till_done()


async def act(hass: HomeAssistant, action: str, **data: Any) -> dict[str, Any]:
    """Run an action and return its response."""
    response = await hass.services.async_call(
        "llamacpp", action, data, blocking=True, return_response=True
    )
    return dict(response or {})


def picture_in(request: dict[str, Any]) -> bytes:
    """Return the picture that the last message of a request carries."""
    text, picture = request["messages"][-1]["content"]
    assert text == {"type": "text", "text": "Who is there?"}
    head, _, data = picture["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    return base64.b64decode(data)


async def test_a_file(
    home: HomeAssistant, add_server: AddServer, peers: Peers, attach: Attach
) -> None:
    """A picture of the media folder goes along; the history notes that there was one."""
    url, requests = await llama_peer(peers, ANSWER, props=SEEING)
    await add_server(url)
    # As the selector of the user interface gives it.
    picture = attach("dot.png", PICTURE) | {"media_content_type": "image/png", "metadata": {}}
    response = await act(home, "chat", message="Who is there?", attachments=picture)
    assert response["response"] == "A dot."
    assert picture_in(requests[0]) == PICTURE
    told = await act(home, "history", conversation_id=response["conversation_id"])
    (note,) = told["messages"][0]["attachments"]
    assert note["media_content_id"] == picture["media_content_id"]


@pytest.mark.usefixtures("door")
async def test_a_camera(
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """What a camera sees goes along with its turn alone, and leaves no file behind."""
    url, requests = await llama_peer(peers, ANSWER, ANSWER, props=SEEING)
    await add_server(url)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = await home.async_add_executor_job(os.listdir, tmp_path)
    conversation_id = (await act(home, "start"))["conversation_id"]
    await act(
        home, "send", conversation_id=conversation_id, message="Who is there?", attachments=[DOOR]
    )
    assert picture_in(requests[0]) == PICTURE
    assert await home.async_add_executor_job(os.listdir, tmp_path) == before
    await act(home, "send", conversation_id=conversation_id, message="And now?")
    assert "image_url" not in str(requests[1])


@pytest.mark.usefixtures("door")
async def test_a_model_that_is_blind(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """It is told before the model is asked, and the conversation stays as it was."""
    url, requests = await llama_peer(peers, ANSWER)
    await add_server(url)
    conversation_id = (await act(home, "start"))["conversation_id"]
    with pytest.raises(HomeAssistantError) as caught:
        await act(home, "send", conversation_id=conversation_id, message="Who?", attachments=[DOOR])
    assert caught.value.translation_key == "model_is_blind"
    assert requests == []
    assert (await act(home, "history", conversation_id=conversation_id))["messages"] == []


@pytest.mark.usefixtures("door", "attach")
async def test_what_there_is_not(home: HomeAssistant, add_server: AddServer, peers: Peers) -> None:
    """A missing camera, a missing file and too many pictures are errors of the call."""
    url, requests = await llama_peer(peers, props=SEEING)
    await add_server(url)
    missing_camera = {"media_content_id": "media-source://camera/camera.gone"}
    missing_file = {"media_content_id": "media-source://media_source/local/gone.png"}
    for missing, message in (
        (missing_camera, "camera.gone cannot be attached: Camera not found"),
        (missing_file, "gone.png"),
    ):
        with pytest.raises(HomeAssistantError, match=message):
            await act(home, "chat", message="Who?", attachments=[missing])
    with pytest.raises(probatio.Invalid, match="length"):
        await act(home, "chat", message="Who?", attachments=[DOOR] * 9)
    assert requests == []


class Elsewhere(MediaSource):
    """Media that are on another machine."""

    name = "Elsewhere"

    @override
    async def async_resolve_media(self, item: MediaSourceItem) -> PlayMedia:
        return PlayMedia("http://example.com/dot.png", "image/png")


async def test_media_elsewhere(home: HomeAssistant, add_server: AddServer, peers: Peers) -> None:
    """Media that are no local file are refused, with a word on what can be shown."""
    assert await async_setup_component(home, "media_source", {})
    mock_integration(home, MockModule("elsewhere"))
    platform = Mock(async_get_media_source=AsyncMock(return_value=Elsewhere("elsewhere")))
    mock_platform(home, "elsewhere.media_source", platform)
    assert await async_setup_component(home, "elsewhere", {})
    url, _ = await llama_peer(peers, props=SEEING)
    await add_server(url)
    there = {"media_content_id": "media-source://elsewhere/dot.png"}
    with pytest.raises(HomeAssistantError) as caught:
        await act(home, "chat", message="What is this?", attachments=[there])
    assert caught.value.translation_key == "attachment_not_local"
