"""Satellites and users that speak to the agent, and what their prompts have in common."""

import asyncio
from typing import TYPE_CHECKING, Any

from homeassistant.components import conversation
from homeassistant.components.intent import async_register_timer_handler
from homeassistant.core import Context
from homeassistant.helpers import entity_registry as er

from custom_components.llamacpp.const import HOME_CHANGE_SECONDS

from .conftest import AGENT
from .prefill import until_prefilled
from .talk import piece

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from custom_components.llamacpp.client import LlamaServerClient


ANSWER = [piece(content="Yes."), piece("stop")]


def satellites(hass: HomeAssistant) -> list[str]:
    """Return the devices of the home's satellites."""
    return [
        entry.device_id
        for entry in er.async_get(hass).entities.values()
        if entry.domain == "assist_satellite" and entry.device_id
    ]


def with_timers(hass: HomeAssistant, device: str) -> None:
    """Let a satellite have timers."""
    async_register_timer_handler(hass, device, lambda _event, _timer: None)


async def ask_as(
    hass: HomeAssistant, words: str = "Hello", *, device: str | None = None, user: str | None = None
) -> None:
    """Ask something in a new conversation."""
    await conversation.async_converse(
        hass,
        words,
        None,
        Context(user_id=user),
        language="en",
        agent_id=AGENT,
        device_id=device,
    )


async def until_change_prefilled(hass: HomeAssistant) -> None:
    """Wait until a change of the home is prefilled."""
    await asyncio.sleep(HOME_CHANGE_SECONDS + 0.2)
    await until_prefilled(hass)


async def tokens_of(client: LlamaServerClient, requests: list[Any]) -> list[list[int]]:
    """Return the prompts of these requests as tokens."""
    prompts = [await client.apply_template(one["messages"], one.get("tools")) for one in requests]
    return [await client.tokenize(prompt, add_special=True) for prompt in prompts]


def n_common(prompts: list[list[int]]) -> int:
    """Return how many tokens all prompts have in common at their start."""
    columns = zip(*prompts, strict=False)
    return next((index for index, column in enumerate(columns) if len(set(column)) > 1), 0)
