"""Delayed commands, which Home Assistant's own agent runs when they are due."""

from typing import TYPE_CHECKING

from ...home.spoken import bare
from ..recognizer import async_recognized

if TYPE_CHECKING:
    from collections.abc import Iterable

    from homeassistant.core import HomeAssistant
    from homeassistant.helpers import llm

    from ...nlu.candidates import Command

# Maximum number of commands per utterance.
MAX_COMMANDS = 8


async def async_sentences(
    hass: HomeAssistant, commands: Iterable[Command], own: str, llm_context: llm.LLMContext
) -> dict[str, str]:
    """Return a sentence for each command's text that Home Assistant's own agent understands.

    It must match strictly and mean this very command: otherwise the timer would promise what never
    happens. own: the user's message without the delay. Commands without such a sentence are
    missing.
    """
    found: dict[str, str] = {}
    for command in list(commands)[:MAX_COMMANDS]:
        for sentence in dict.fromkeys((command.text, own)):
            if await _async_is_understood(hass, sentence, command, llm_context):
                found[command.text] = sentence
                break
    return found


async def _async_is_understood(
    hass: HomeAssistant, sentence: str, command: Command, llm_context: llm.LLMContext
) -> bool:
    order = await async_recognized(hass, sentence, llm_context)
    if order is None or order.tool != bare(command.tool):
        return False
    meant = {name: str(value).casefold() for name, value in order.args.items()}
    wanted = str(command.args.get("name", "")).casefold()
    return meant.get("name", "") == wanted and all(
        name in meant for name in ("area", "floor") if name in command.args
    )
