"""Pictures attached to a message by actions."""

import base64
import os
import tempfile
from typing import TYPE_CHECKING, Any, override
from unittest.mock import AsyncMock, Mock

import probatio
import pytest
from homeassistant.components.media_source import MediaSource, PlayMedia
from homeassistant.exceptions import HomeAssistantError
from homeassistant.setup import async_setup_component
from pytest_homeassistant_custom_component.common import (
    MockModule,
    mock_integration,
    mock_platform,
)

from .automations import FrontDoor
from .conftest import PICTURE
from .talk import PROPS, act, llama_peer, piece

if TYPE_CHECKING:
    from pathlib import Path

    from homeassistant.components.media_source import MediaSourceItem
    from homeassistant.core import HomeAssistant

    from .conftest import AddServer, Attach
    from .peers import Peers

DOOR = {"media_content_id": "media-source://camera/camera.front_door"}
SEEING = PROPS | {"modalities": {"vision": True}}
ANSWER = [piece(content="A dot."), piece("stop")]


@pytest.fixture
async def door(home: HomeAssistant) -> None:
    """Add a camera."""
    assert await async_setup_component(home, "camera", {})
    await home.data["camera"].async_add_entities([FrontDoor()])
    await home.async_block_till_done()


def picture_in(request: dict[str, Any]) -> bytes:
    """Return the picture in the last message of a request."""
    text, picture = request["messages"][-1]["content"]
    assert text == {"type": "text", "text": "Who is there?"}
    head, _, data = picture["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    return base64.b64decode(data)


async def test_a_file(
    home: HomeAssistant, add_server: AddServer, peers: Peers, attach: Attach
) -> None:
    """A picture of the media folder is sent; the history notes it."""
    url, requests = await llama_peer(peers, ANSWER, props=SEEING)
    await add_server(url)
    # As the media selector returns it.
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
    """A camera's picture is sent with its turn alone, and leaves no file."""
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
    """The action fails before a request, and the conversation stays as it was."""
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
    """A missing camera, a missing file and too many pictures raise errors."""
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
    """Media on another machine."""

    name = "Elsewhere"

    @override
    async def async_resolve_media(self, item: MediaSourceItem) -> PlayMedia:
        return PlayMedia("http://example.com/dot.png", "image/png")


async def test_media_elsewhere(home: HomeAssistant, add_server: AddServer, peers: Peers) -> None:
    """The error says which media are supported."""
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


PICTURES = {
    "image/png": PICTURE,
    "image/jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF",
    "image/gif": b"GIF89a\x01\0\x01\0",
    "image/webp": b"RIFF\x24\0\0\0WEBPVP8 ",
    "image/bmp": b"BM\x1e\0\0\0\0\0\0\0\x1a\0\0\0",
}


@pytest.mark.parametrize("mime_type", PICTURES)
async def test_the_type_is_that_of_the_bytes(
    home: HomeAssistant, add_server: AddServer, peers: Peers, attach: Attach, mime_type: str
) -> None:
    """Neither the file name nor the caller decides the type."""
    url, requests = await llama_peer(peers, ANSWER, props=SEEING)
    await add_server(url)
    picture = attach("dot.txt", PICTURES[mime_type]) | {"media_content_type": "image/x-made-up"}
    await act(home, "chat", message="Who is there?", attachments=picture)
    (shown,) = requests[0]["messages"][-1]["content"][1:]
    data = base64.b64encode(PICTURES[mime_type]).decode()
    assert shown["image_url"]["url"] == f"data:{mime_type};base64,{data}"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"root:x:0:0:root:/root:/bin/bash\n",
        b"BMW, GIF and RIFF are words; so is \xff\xd8.",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b" " + PICTURE,
        PICTURE[:7],
    ],
)
async def test_what_only_pretends_to_be_a_picture(
    home: HomeAssistant, add_server: AddServer, peers: Peers, attach: Attach, content: bytes
) -> None:
    """A file that is no picture is not sent, whatever its name and the caller say."""
    url, requests = await llama_peer(peers, props=SEEING)
    await add_server(url)
    picture = attach("dot.png", content) | {"media_content_type": "image/png"}
    with pytest.raises(HomeAssistantError) as caught:
        await act(home, "chat", message="Who is there?", attachments=picture)
    assert caught.value.translation_key == "attachment_no_image"
    assert requests == []


@pytest.mark.parametrize(
    ("target", "key"),
    [("/etc/passwd", "attachment_no_image"), ("/dev/zero", "attachment_unreadable")],
)
async def test_a_link_out_of_the_media_folder(  # noqa: PLR0913, PLR0917 - fixtures and parameters
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    attach: Attach,
    tmp_path: Path,
    target: str,
    key: str,
) -> None:
    """A link reaches no other file, and no endless one is read."""
    url, requests = await llama_peer(peers, props=SEEING)
    await add_server(url)
    link = attach("door.png", b"") | {"media_content_type": "image/png"}
    (tmp_path / "door.png").unlink()
    (tmp_path / "door.png").symlink_to(target)
    with pytest.raises(HomeAssistantError) as caught:
        await act(home, "chat", message="Who is there?", attachments=link)
    assert caught.value.translation_key == key
    assert requests == []


@pytest.mark.parametrize("name", ["dot", "dot.", "dot.made-up"])
async def test_media_without_a_type(
    home: HomeAssistant, add_server: AddServer, peers: Peers, attach: Attach, name: str
) -> None:
    """The error says that the type is unknown, and what to do."""
    url, requests = await llama_peer(peers, props=SEEING)
    await add_server(url)
    picture = attach(name, PICTURE) | {"media_content_type": "image/png"}
    with pytest.raises(HomeAssistantError, match=r"ends in \.jpg") as caught:
        await act(home, "chat", message="Who is there?", attachments=picture)
    assert caught.value.translation_key == "attachment_no_type"
    assert requests == []
