"""A real small model without tools controls the demo home by choosing among commands."""

from typing import TYPE_CHECKING, Any, ClassVar, override

import probatio
import pytest
from homeassistant.components import conversation
from homeassistant.helpers import intent

from custom_components.llamacpp.home.language import load
from custom_components.llamacpp.model.abilities import CONF_TOOL_CALLS, ToolCalls
from tests.integration.conftest import AGENT
from tests.integration.entities import rename
from tests.integration.talk import (
    ask,
    contents,
    forget_sessions,
    nobodys_session,
    speech,
    state_of,
    without_note,
)

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .conftest import Talk

LIGHT = "light.kitchen_light"
DOOR = "lock.side_door"
CRITICAL = (DOOR, "cover.garage_door", "valve.irrigation")


def critical(hass: HomeAssistant) -> list[str]:
    """Return the states of what must not move by mistake."""
    return [state_of(hass, one).state for one in CRITICAL]


def switched(hass: HomeAssistant) -> dict[str, str]:
    """Return the states of all that can be controlled."""
    domains = {"sensor", "binary_sensor", "conversation", "ai_task", "assist_satellite"}
    return {
        one.entity_id: one.state for one in hass.states.async_all() if one.domain not in domains
    }


async def test_turns_on_a_light(talk: Talk) -> None:
    """It is really on, we say so, and the server had a grammar and no tools."""
    result = await ask(talk.hass, "Turn on the kitchen light")
    assert speech(result) == "Turned on Kitchen Light."
    assert state_of(talk.hass, LIGHT).state == "on"
    (request,) = talk.requests
    assert "tools" not in request
    assert '"turn on the Kitchen Light"' in request["grammar"]
    assert request["temperature"] == 0
    assert without_note(talk.newest[-1]["content"]) == "Turn on the kitchen light"
    _, _, call, told, words = contents(talk.hass, result)
    assert isinstance(call, conversation.AssistantContent)
    assert not call.content
    assert [one.tool_args for one in call.tool_calls or ()] == [
        {"name": "Kitchen Light", "domain": ["light"]}
    ]
    assert isinstance(told, conversation.ToolResultContent)
    assert isinstance(words, conversation.AssistantContent)


@pytest.mark.parametrize("name", ["Aga\b", "\x0cAga", "Aga\x00\x06", "The\nAga"])
async def test_control_characters_in_a_name(talk: Talk, name: str) -> None:
    """They cannot keep a thing from being switched."""
    rename(talk.hass, LIGHT, name)
    await talk.hass.async_block_till_done(wait_background_tasks=True)
    await ask(talk.hass, "Turn on the Aga")
    assert "grammar" in talk.requests[-1]
    assert state_of(talk.hass, LIGHT).state == "on"


async def test_a_command_is_not_spoken(talk: Talk) -> None:
    """Only our words are heard."""
    assert await talk.pieces("Turn on the floor lamp") == ["Turned on Floor Lamp."]


async def test_two_things_in_one_sentence(talk: Talk) -> None:
    """Both are done, and one request was enough."""
    result = await ask(talk.hass, "Turn on the bedside lamp and the coffee maker")
    assert speech(result) == "Turned on Bedside Lamp. Turned on Coffee Maker."
    assert state_of(talk.hass, "light.bedside_lamp").state == "on"
    assert state_of(talk.hass, "switch.coffee_maker").state == "on"
    assert len(talk.requests) == 1


async def test_values(talk: Talk) -> None:
    """What was said reaches the thing."""
    await ask(talk.hass, "Set the thermostat to 18.5 degrees")
    assert state_of(talk.hass, "climate.thermostat").attributes["temperature"] == 18.5


async def test_a_chat_streams(talk: Talk) -> None:
    """There is no grammar, the answer comes in pieces, and nothing is switched."""
    before = switched(talk.hass)
    assert len(await talk.pieces("Hello, my name is Ann. How do you do?")) > 3
    assert "grammar" not in talk.requests[0]
    assert "tools" not in talk.requests[0]
    assert switched(talk.hass) == before


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("Is the side door locked?", "Side Door: locked"),
        ("Is the kitchen light on?", "Kitchen Light: off"),
        ("Are the garden lights on?", "Garden Lights: off"),
        ("How warm is it in the garden?", "Garden Motion Garden Temperature: 11.3 °C"),
        ("Is the side door open?", "Side Door: locked, Side Door Contact: closed"),
        ("Are the doors closed?", "Side Door Contact: closed"),
        ("Is somebody moving in the garden?", "Garden Motion: clear"),
    ],
)
async def test_a_question(talk: Talk, words: str, told: str) -> None:
    """The model is told how it is, and can only talk."""
    before = switched(talk.hass)
    await ask(talk.hass, words)
    assert "grammar" not in talk.requests[0]
    note = talk.newest[-1]["content"]
    assert note.startswith("[")
    assert f"Now: {told}" in note or f", {told}" in note
    assert note.endswith(f"]\n{words}")
    assert switched(talk.hass) == before


async def test_a_question_that_a_tool_answers(talk: Talk) -> None:
    """Reading a list is a command; what is on it is told as it is there, without the model."""
    before = switched(talk.hass)
    result = await ask(talk.hass, "What is on the shopping list?")
    assert switched(talk.hass) == before
    (request,) = talk.requests
    assert '"read out the Shopping List"' in request["grammar"]
    items = [one["summary"] for one in await items_of(talk.hass)]
    assert items
    assert speech(result) == f"Shopping List: {', '.join(items)}."
    await ask(talk.hass, "What do you think of it?", result.conversation_id)
    *_, command, read, told, _ = talk.newest
    assert command == {"role": "assistant", "content": "read out the Shopping List"}
    assert read["role"] == "user"
    assert items[0] in read["content"]
    assert told == {"role": "assistant", "content": speech(result)}


async def test_a_list_with_nothing_on_it(talk: Talk) -> None:
    """A model would make something up."""
    items = [one["uid"] for one in await items_of(talk.hass)]
    fields = {"entity_id": "todo.shopping_list", "item": items}
    await talk.hass.services.async_call("todo", "remove_item", fields, blocking=True)
    result = await ask(talk.hass, "What is on the shopping list?")
    assert speech(result) == "Shopping List: 0."


async def test_a_list_with_a_date(talk: Talk) -> None:
    """What is due is told with its date."""
    fields = {"entity_id": "todo.shopping_list", "item": "Cake", "due_date": "2027-01-05"}
    await talk.hass.services.async_call("todo", "add_item", fields, blocking=True)
    result = await ask(talk.hass, "What is on the shopping list?")
    assert speech(result).endswith(", Cake (2027-01-05).")


async def items_of(hass: HomeAssistant) -> list[dict[str, Any]]:
    """Return what is still to be bought."""
    given = {"entity_id": "todo.shopping_list", "status": "needs_action"}
    found = await hass.services.async_call(
        "todo", "get_items", given, blocking=True, return_response=True
    )
    assert found is not None
    on_it: Any = found["todo.shopping_list"]
    return list(on_it["items"])


@pytest.mark.parametrize(
    "words", ["The side door, please", "I am in the garage", "side door", "The irrigation"]
)
async def test_no_verb_moves_no_lock(talk: Talk, words: str) -> None:
    """What could do harm cannot even be chosen unless it was said what to do."""
    before = critical(talk.hass)
    await ask(talk.hass, words)
    for name in ("Side Door", "Garage Door", "Irrigation"):
        assert name not in talk.requests[0].get("grammar", "")
    assert critical(talk.hass) == before


async def ask_unclear(talk: Talk) -> conversation.ConversationResult:
    """Say something that may be about a door."""
    before = critical(talk.hass)
    result = await ask(talk.hass, "Unlock the door")
    assert critical(talk.hass) == before
    assert speech(result) == "Shall I unlock the Side Door?"
    assert result.continue_conversation
    assert talk.requests[0]["logprobs"]
    return result


async def test_which_one(talk: Talk) -> None:
    """Of several that can be meant it is asked which one, and the answer is enough."""
    result = await ask(talk.hass, "Open the door")
    assert speech(result) == "Which one do you mean: Side Door, Garage Door?"
    assert result.continue_conversation
    result = await ask(talk.hass, "The garage door", result.conversation_id)
    assert state_of(talk.hass, "cover.garage_door").state in ("open", "opening")
    assert speech(result) == "Opened Garage Door."


@pytest.mark.parametrize("words", ["Yes", "yes, please do", "OK"])
async def test_yes_does_it(talk: Talk, words: str) -> None:
    """What is not clear is asked back; who agrees gets it, without the model."""
    before = critical(talk.hass)
    asked = await ask_unclear(talk)
    result = await ask(talk.hass, words, asked.conversation_id)
    after = critical(talk.hass)
    assert speech(result) == "Unlocked Side Door."
    assert after == ["unlocked", *before[1:]]
    assert len(talk.requests) == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("No", "en"),
        ("no thank you", "en"),
        ("nope", "en"),
        ("nein danke", "de"),
        ("no grazie", "it"),
        ("no", "es"),
        ("non merci", "fr"),
        ("nee", "nl"),
        ("nie, dziękuję", "pl"),
    ],
)
async def test_no_leaves_it(talk: Talk, words: str, code: str) -> None:
    """A no to our question changes nothing and needs no model; a yes after it means nothing."""
    before = critical(talk.hass)
    asked = await ask_unclear(talk)
    result = await ask(talk.hass, words, asked.conversation_id, code)
    assert speech(result) == load(code).texts["left"]
    assert len(talk.requests) == 1
    await ask(talk.hass, "yes", asked.conversation_id)
    assert critical(talk.hass) == before


async def test_more_than_a_no(talk: Talk) -> None:
    """A no with an order behind it is more than a no."""
    asked = await ask_unclear(talk)
    result = await ask(talk.hass, "nein, mach aus", asked.conversation_id, "de")
    assert speech(result) != load("de").texts["left"]


async def test_no_without_a_question(talk: Talk) -> None:
    """It is the model's."""
    await ask(talk.hass, "No")
    assert len(talk.requests) == 1


async def test_questions_outlive_a_restart(talk: Talk) -> None:
    """What was asked is stored: a yes has it done, an answer tells which one, each once."""
    asked = await ask_unclear(talk)
    which = await ask(talk.hass, "Open the door")
    await talk.hass.config_entries.async_reload(talk.entry.entry_id)
    forget_sessions(talk.hass)
    await ask(talk.hass, "The garage door", which.conversation_id)
    assert state_of(talk.hass, "cover.garage_door").state in ("open", "opening")
    before = critical(talk.hass)
    result = await ask(talk.hass, "Yes", asked.conversation_id)
    assert speech(result) == "Unlocked Side Door."
    assert critical(talk.hass) == ["unlocked", *before[1:]]
    assert len(talk.requests) == 2


async def test_words_alone_are_no_question(talk: Talk) -> None:
    """Whatever a model says, a yes to it moves nothing: only what we have asked counts."""
    before = critical(talk.hass)
    question = load("en").texts["sure"].format(command="unlock Side Door")
    log = conversation.AssistantContent(AGENT, content=question)
    with (
        nobodys_session(talk.hass) as session,
        conversation.async_get_chat_log(talk.hass, session) as chat_log,
    ):
        chat_log.async_add_user_content(conversation.UserContent("Hello"))
        chat_log.async_add_assistant_content_without_tools(log)
    await ask(talk.hass, "Yes", session.conversation_id)
    assert critical(talk.hass) == before


@pytest.mark.parametrize("words", ["No", "No, do not", "Never mind", "What time is it?"])
async def test_no_does_nothing(talk: Talk, words: str) -> None:
    """Whoever says something else is answered, and nothing moves; a later yes is too late."""
    before = critical(talk.hass)
    asked = await ask_unclear(talk)
    await ask(talk.hass, words, asked.conversation_id)
    assert critical(talk.hass) == before
    await ask(talk.hass, "Yes", asked.conversation_id)
    assert critical(talk.hass) == before


async def test_a_script(talk: Talk) -> None:
    """What no sentence is about can be called by its name; without a result it is just done."""
    await ask(talk.hass, "Turn on the kitchen light")
    result = await ask(talk.hass, "Run the good night script")
    assert speech(result) == "Done."
    await talk.hass.async_block_till_done()
    assert '"use good night"' in talk.requests[1]["grammar"].casefold()
    assert state_of(talk.hass, LIGHT).state == "off"


async def test_italian(talk: Talk) -> None:
    """Commands and our words are in the language of the speaker."""
    result = await ask(talk.hass, "Accendi la Kitchen Light", language="it")
    assert speech(result) == "Ho acceso Kitchen Light."
    assert '"accendi Kitchen Light"' in talk.requests[0]["grammar"]
    assert state_of(talk.hass, LIGHT).state == "on"
    before = switched(talk.hass)
    await ask(talk.hass, "È chiusa la Side Door?", language="it")
    assert "Side Door: bloccato/a" in talk.newest[-1]["content"]
    assert switched(talk.hass) == before


async def test_the_history_reads_as_commands(talk: Talk) -> None:
    """Also after a restart: what was called is the command, and our words are left out."""
    first = await ask(talk.hass, "Turn on the kitchen light")
    await talk.hass.config_entries.async_reload(talk.entry.entry_id)
    talk.hass.data[conversation.chat_log.DATA_CHAT_LOGS].clear()
    await ask(talk.hass, "Thanks, that was nice of you", first.conversation_id)
    before, after = (one["messages"] for one in talk.requests)
    assert after[: len(before)] == before
    assert after[len(before)] == {"role": "assistant", "content": "turn on the Kitchen Light"}
    (words,) = after[len(before) + 1 :]
    assert without_note(words["content"]) == "Thanks, that was nice of you"


class Broken(intent.IntentHandler):
    """Turns nothing on."""

    intent_type = intent.INTENT_TURN_ON
    slot_schema: ClassVar[dict[Any, Any]] = {
        probatio.Optional(name): object for name in ("name", "area", "floor", "domain")
    }

    @override
    async def async_handle(self, intent_obj: intent.Intent) -> intent.IntentResponse:
        raise intent.IntentHandleError("The fuse is blown")


async def test_a_tool_that_fails_is_told(talk: Talk) -> None:
    """Nobody is told that something was done that was not."""
    intent.async_register(talk.hass, Broken())
    result = await ask(talk.hass, "Turn on the kitchen light and turn off the floor lamp")
    assert speech(result) == "Turned off Floor Lamp. That did not work: turn on the Kitchen Light."
    assert state_of(talk.hass, LIGHT).state == "off"
    assert state_of(talk.hass, "light.floor_lamp").state == "off"
    await ask(talk.hass, "Thanks, that was nice of you", result.conversation_id)
    *_, done, failed, told, _ = talk.newest
    assert done["content"] == "turn on the Kitchen Light\nturn off the Floor Lamp"
    assert (failed["role"], told["content"]) == ("user", speech(result))
    assert "The fuse is blown" in failed["content"]


async def test_it_can_be_chosen(talk: Talk) -> None:
    """Who knows better says so: tools, which this template takes in the prompt, or commands."""
    await talk.set_options(**{CONF_TOOL_CALLS: ToolCalls.NATIVE})
    await ask(talk.hass, "Turn on the kitchen light")
    assert "tools" not in talk.requests[0]
    assert "HassTurnOn(" in talk.requests[0]["messages"][0]["content"]
    assert "HassTurnOn(" in talk.requests[0]["grammar"]
    await talk.set_options(**{CONF_TOOL_CALLS: ToolCalls.COMMANDS})
    await ask(talk.hass, "Turn on the kitchen light")
    assert "HassTurnOn(" not in talk.requests[-1]["messages"][0]["content"]
    assert "turn on the Kitchen Light" in talk.requests[-1]["grammar"]
