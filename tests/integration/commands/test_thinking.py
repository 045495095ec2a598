"""Models that think choose among commands as others do, however their server treats thinking."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import serving
from tests.integration.talk import ask, recording, speech, state_of

from .conftest import Talk

if TYPE_CHECKING:
    import aiohttp
    from homeassistant.core import HomeAssistant

    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

TEMPLATE = Path(__file__).parents[1] / "prompt" / "thinking.jinja"
FLAGS = ("--ctx-size", "4096", "--parallel", "1", "--chat-template-file", TEMPLATE)
LIGHT = "light.kitchen_light"


@pytest.mark.parametrize(
    "flags",
    [(), ("--reasoning-budget", "0"), ("--reasoning-format", "none")],
    ids=["default", "budget", "format"],
)
async def test_commands(  # noqa: PLR0913, PLR0917 - fixtures
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    session: aiohttp.ClientSession,
    model: Path,
    tmp_path: Path,
    flags: tuple[str, ...],
) -> None:
    """The light is on; no request of the agent lets the model think, unless the user wants it."""
    with serving(tmp_path / "log.txt", *FLAGS, *flags, model=model) as server:
        url, asked = await recording(peers, session, server)
        talk = Talk(home, await add_server(url), asked)
        await talk.set_options()
        assert speech(await ask(home, "Turn on the kitchen light")) == "Turned on Kitchen Light."
        assert state_of(home, LIGHT).state == "on"
        await ask(home, "Why is the sky blue?")
        off = {"enable_thinking": False}
        assert len(asked) > len(talk.requests) == 2
        assert [one["chat_template_kwargs"] for one in asked] == [off] * len(asked)
        await talk.set_options(thinking="on")
        assert speech(await ask(home, "Turn off the kitchen light")) == "Turned off Kitchen Light."
        assert talk.requests[-1]["chat_template_kwargs"] == {"enable_thinking": True}
        for entry in home.config_entries.async_loaded_entries("llamacpp"):
            await home.config_entries.async_unload(entry.entry_id)
