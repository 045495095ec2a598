"""A short day in a home with one agent: orders, talks, tasks, a change and a restart."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import probatio
from homeassistant.components import ai_task
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import selector
from homeassistant.helpers.intent import IntentResponseType

from dev.scripted_model import ScriptedCall
from tests.integration.conftest import SOON_SECONDS, TASK_AGENT
from tests.integration.prefill import processed, until_prefilled
from tests.integration.speakers import satellites
from tests.integration.talk import ask, speech, state_of

if TYPE_CHECKING:
    from homeassistant.components.conversation import ConversationResult
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from dev.llama import LlamaServer
    from dev.scripted_model import Script


DAY_SECONDS = 60.0
# A question, a note on the speaker and the template's marks; the home has more.
FEW_TOKENS = 60
MANY_TOKENS = 250
ORDER, LIGHT = "Turn on the coffee maker", "More light in the kitchen, please"
TALE, GO_ON = "Tell me a tale", "And then?"
LOOK, DATA = "Look outside and tell.", "Say how the sky is."
ANSWERS = {
    TALE: "Once upon a time it rained.",
    GO_ON: "Nobody ever found it out.",
    LOOK: "Nothing but clouds over there.",
    DATA: '{"sky": "as grey as slate"}',
}
STRUCTURE = probatio.Schema({probatio.Required("sky"): selector.selector({"text": {}})})
CALL = [str(ScriptedCall("intent__HassTurnOn", {"name": "Kitchen Light"})), "Now you see better."]
COMMAND = ["turn on the Kitchen Light"]
NO_TOOLS = Path(__file__).parents[1].joinpath("no_tools.jinja").read_text()


def script_for(form: str) -> Script:
    """Return the script of a model."""
    script = {LIGHT: COMMAND if form == "none" else CALL}
    script |= {words: [answer] for words, answer in ANSWERS.items()}
    if form != "thinking":
        return script
    thoughts = iter(range(100, 200))
    return {
        words: [f"I keep secret {next(thoughts)}.\n</think>\n\n{answer}" for answer in rounds]
        for words, rounds in script.items()
    }


class Day:
    """A home with one agent, and a server that restarts during the day."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry[Any], server: LlamaServer) -> None:
        """Start. entry: of the server."""
        self._hass = hass
        self._entry = entry
        self._server = server

    async def say(self, words: str, talk: str | None = None, **where: Any) -> ConversationResult:
        """Say this to the agent; the answer must be the script's."""
        result = await ask(self._hass, words, talk, **where)
        assert result.response.response_type is not IntentResponseType.ERROR
        if words in ANSWERS:
            assert speech(result) == ANSWERS[words]
        return result

    async def is_prefilled(self, words: str, talk: str | None = None, **where: Any) -> str | None:
        """Say this; only the words may be prefilled. Return the conversation's id."""
        result = await self.say(words, talk, **where)
        usage = self._entry.runtime_data.coordinator.last_answer.completion.usage
        assert usage.prompt_tokens - usage.cached_tokens < FEW_TOKENS
        assert usage.cached_tokens > MANY_TOKENS
        return result.conversation_id

    async def everybody_is_prefilled(self) -> None:
        """Speak at each satellite and on a phone."""
        for device_id in (None, *satellites(self._hass)):
            await self.is_prefilled(TALE, device_id=device_id)

    async def control(self) -> None:
        """Give one order that Home Assistant understands, and one for the model."""
        await self.say(ORDER)
        assert state_of(self._hass, "switch.coffee_maker").state == "on"
        result = await self.say(LIGHT)
        if speech(result).endswith("?"):
            # The command differs from the words.
            await self.say("Yes", result.conversation_id)
        assert state_of(self._hass, "light.kitchen_light").state == "on"

    async def talk(self) -> str | None:
        """Start a conversation and continue it; return its id."""
        talk = await self.is_prefilled(TALE)
        await until_prefilled(self._hass)
        return await self.is_prefilled(GO_ON, talk)

    async def tasks(self) -> None:
        """Run one AI task for text and one for data."""
        for words, structure in ((LOOK, None), (DATA, STRUCTURE)):
            task = await ai_task.async_generate_data(
                self._hass,
                task_name="Sky",
                entity_id=TASK_AGENT,
                instructions=words,
                structure=structure,
            )
            assert task.data == (json.loads(ANSWERS[words]) if structure else ANSWERS[words])
        await until_prefilled(self._hass)

    async def change(self) -> None:
        """Rename a light."""
        er.async_get(self._hass).async_update_entity("light.kitchen_light", name="Stove Lamp")
        await asyncio.sleep(2 * SOON_SECONDS)
        await until_prefilled(self._hass)

    async def restart(self, *, is_noticed: bool) -> None:
        """Restart the server. is_noticed: Home Assistant polls it before the next question."""
        await until_prefilled(self._hass)
        coordinator = self._entry.runtime_data.coordinator
        self._server.kill()
        if is_noticed:
            await coordinator.async_refresh()
        self._server.start()
        self._server.wait_ready()
        if is_noticed:
            await coordinator.async_refresh()
            await until_prefilled(self._hass)
            # A note for each slot.
            n_slots = self._entry.runtime_data.serving.n_slots
            assert await processed(coordinator) < FEW_TOKENS * 2 * n_slots
