"""Strict chat templates, and those that drop content, with a real server."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from homeassistant.components import conversation

from custom_components.llamacpp.client import LlamaServerClient
from custom_components.llamacpp.const import CONF_EXACT_FIRST
from custom_components.llamacpp.model.abilities import ModelAbilities, ToolCalls, ToolStrategy
from custom_components.llamacpp.model.fitting import Fitting
from dev.scripted_model import TEMPLATE, ScriptedCall, write_scripted_model
from tests.conftest import serving
from tests.integration.conftest import AGENT, FLAGS, agent_of
from tests.integration.talk import ask, contents, nobodys_session, recording, speech, state_of

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    import aiohttp
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer
    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

STRICT = """\
{%- set seen = namespace(words=0) %}
{%- for message in messages if message.role != 'system' %}
{%- for call in message.tool_calls or [] %}
{%- if call.id | length != 9 %}{{ raise_exception('An id has nine characters') }}{% endif %}
{%- if not loop.first %}{{ raise_exception('One call at a time') }}{% endif %}
{%- endfor %}
{%- if message.role == 'user' or (message.role == 'assistant' and not message.tool_calls) %}
{%- if (message.role == 'user') != (seen.words % 2 == 0) %}
{{- raise_exception('User and assistant speak in turns') }}
{%- endif %}
{%- set seen.words = seen.words + 1 %}
{%- endif %}
{%- endfor %}
"""
CALLED = "{%- if message.tool_calls %}\n"
LIGHT, LAMPS, THANKS, HELLO = "More light, please", "Both lamps, please", "Thank you", "Who is it?"
SCRIPT = {
    LIGHT: [str(ScriptedCall("intent__HassTurnOn", {"name": "Kitchen Light"})), "There is light."],
    LAMPS: [
        str(ScriptedCall("intent__HassTurnOn", {"name": "Floor Lamp"})),
        str(ScriptedCall("intent__HassTurnOn", {"name": "Bedside Lamp"})),
        "Two lamps are lit.",
    ],
    THANKS: ["You are welcome."],
    HELLO: ["It is your house."],
}
SHORT = Fitting(has_short_ids=False)


@pytest.fixture(scope="module")
def strict_server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[LlamaServer]:
    """Return a real server with a very strict template."""
    folder = tmp_path_factory.mktemp("strict")
    path = folder / "strict.gguf"
    write_scripted_model(path, model, SCRIPT, "I was not told.", STRICT + TEMPLATE)
    with serving(folder / "log.txt", *FLAGS, model=path) as server:
        yield server


async def test_a_conversation(
    home: HomeAssistant,
    add_server: AddServer,
    peers: Peers,
    session: aiohttp.ClientSession,
    strict_server: LlamaServer,
) -> None:
    """Calls in sequence, words after them, and calls that Home Assistant has made itself."""
    url, asked = await recording(peers, session, strict_server)
    entry = await add_server(url)
    result = await ask(home, LIGHT)
    assert speech(result) == "There is light."
    assert state_of(home, "light.kitchen_light").state == "on"
    talk = result.conversation_id
    assert speech(await ask(home, LAMPS, talk)) == "Two lamps are lit."
    assert state_of(home, "light.floor_lamp").state == "on"
    assert state_of(home, "light.bedside_lamp").state == "on"
    agent = agent_of(entry)
    data = {**agent.data, CONF_EXACT_FIRST: True}
    home.config_entries.async_update_subentry(entry, agent, data=data)
    await home.async_block_till_done(wait_background_tasks=True)
    result = await ask(home, "Turn on the coffee maker", talk)
    assert state_of(home, "switch.coffee_maker").state == "on"
    assert any(isinstance(one, conversation.ToolResultContent) for one in contents(home, result))
    assert speech(await ask(home, THANKS, talk)) == "You are welcome."
    ids = [call["id"] for one in asked[-1]["messages"] for call in one.get("tool_calls", ())]
    results = [one["tool_call_id"] for one in asked[-1]["messages"] if one["role"] == "tool"]
    assert ids[:3] == results[:3]
    assert len(set(ids)) == len(ids) >= 4


async def test_who_speaks_first(
    home: HomeAssistant, add_server: AddServer, strict_server: LlamaServer
) -> None:
    """A conversation that Home Assistant starts, and a question without an answer."""
    await add_server(strict_server.base_url)
    with (
        nobodys_session(home) as session,
        conversation.async_get_chat_log(home, session) as chat_log,
    ):
        chat_log.async_add_assistant_content_without_tools(
            conversation.AssistantContent(AGENT, content="Somebody is at the door.")
        )
        conversation_id = session.conversation_id
    assert speech(await ask(home, HELLO, conversation_id)) == "It is your house."
    assert speech(await ask(home, THANKS, conversation_id)) == "You are welcome."


@pytest.mark.parametrize(
    ("template", "strategy", "fitting"),
    [
        (TEMPLATE, ToolStrategy.NATIVE, SHORT),
        (
            STRICT + TEMPLATE,
            ToolStrategy.NATIVE,
            Fitting(has_short_ids=True, has_single_calls=True, has_turns=True),
        ),
        (
            TEMPLATE.replace(CALLED, "{%- if message.tool_calls and not message.content %}\n"),
            ToolStrategy.NATIVE,
            replace(SHORT, has_silent_calls=True),
        ),
        (
            # As llama-server checks whether a template shows calls.
            TEMPLATE.replace(CALLED, "{%- if false %}\n"),
            ToolStrategy.NATIVE,
            replace(SHORT, has_written_calls=True),
        ),
        (
            TEMPLATE.replace(
                "{{ tool | tojson }}",
                "{% for one in tool.function.parameters.properties.values() %}"
                "{{ one.type in ('a', 'b') }}{% endfor %}{{ tool | tojson }}",
            ),
            ToolStrategy.WRITTEN,
            None,
        ),
        ("{{ messages[0].content }}", ToolStrategy.WRITTEN, SHORT),
    ],
    ids=["usual", "strict", "silent", "no calls", "no such tools", "no tools"],
)
async def test_what_a_template_takes(  # noqa: PLR0913, PLR0917 - of the table
    scripted_model: Path,
    tmp_path: Path,
    session: aiohttp.ClientSession,
    template: str,
    strategy: ToolStrategy,
    fitting: Fitting | None,
) -> None:
    """The server is asked, and messages that it rejects are not sent."""
    path = tmp_path / "template.jinja"
    path.write_text(template)
    flags = ("--ctx-size", "2048", "--parallel", "1", "--chat-template-file", path)
    with serving(tmp_path / "log.txt", *flags, model=scripted_model) as server:
        known = ModelAbilities(LlamaServerClient(session, server.base_url))
        found = await known.of(None, "1", autoload=False)
    assert found.strategy(ToolCalls.NATIVE) is strategy
    if fitting:
        assert found.fitting == fitting
