"""Prefills of a server's slots: waits for them, and counts of tokens."""

import contextlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from homeassistant.components import conversation
from homeassistant.config_entries import ConfigSubentry
from homeassistant.const import CONF_LLM_HASS_API
from homeassistant.core import Context
from homeassistant.helpers import llm

from custom_components.llamacpp.const import SUBENTRY_CONVERSATION
from tests.conftest import serving

from .conftest import AGENT, TASK_AGENT, agent_of
from .talk import ask

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant

    from custom_components.llamacpp.client import Timings
    from custom_components.llamacpp.coordinator import LlamaCppCoordinator
    from dev.llama import LlamaServer

# A question and the template's marks around it; the home has thousands.
FEW_TOKENS = 100
MANY_TOKENS = 1000
WAIT_SECONDS = 60.0
SECOND_AGENT = "conversation.second"


async def until_prefilled(hass: HomeAssistant) -> None:
    """Wait until no prefill is running."""
    await hass.async_block_till_done(wait_background_tasks=True)


async def processed(coordinator: LlamaCppCoordinator) -> float:
    """Return how many prompt tokens the server has processed since its start."""
    return (await coordinator.client.metrics())["prompt_tokens_total"]


async def generated(coordinator: LlamaCppCoordinator) -> float:
    """Return how many tokens the server has generated: at least one for each request."""
    return (await coordinator.client.metrics())["tokens_predicted_total"]


async def waited_for(hass: HomeAssistant, entry: ConfigEntry[Any]) -> int:
    """Ask something; return how many prompt tokens were processed while the user waits."""
    await ask(hass, "Hello")
    usage = entry.runtime_data.coordinator.last_answer.completion.usage
    return int(usage.prompt_tokens - usage.cached_tokens)


async def set_options(hass: HomeAssistant, entry: ConfigEntry[Any], **options: Any) -> None:
    """Change options of the agent, and wait for its prefill."""
    agent = agent_of(entry)
    hass.config_entries.async_update_subentry(entry, agent, data={**agent.data, **options})
    await until_prefilled(hass)


async def task(hass: HomeAssistant) -> None:
    """Run a task whose prompt is not the home's."""
    data = {"task_name": "t", "instructions": "Count. " * 100, "entity_id": TASK_AGENT}
    await hass.services.async_call(
        "ai_task", "generate_data", data, blocking=True, return_response=True
    )


@contextlib.contextmanager
def keeping_slots(folder: Path, model: Path, *, n_slots: int) -> Generator[LlamaServer]:
    """Run a server that may save its slots to `folder / "slots"`."""
    slots = folder / "slots"
    slots.mkdir()
    sizes = ("--ctx-size", str(16384 * n_slots), "--parallel", str(n_slots))
    flags = (*sizes, "--slot-save-path", f"{slots}/")
    with serving(folder / "log.txt", *flags, model=model) as server:
        yield server


async def timings_of(hass: HomeAssistant, entry: ConfigEntry[Any], agent: str = AGENT) -> Timings:
    """Ask an agent something; return the timings of its answer."""
    await conversation.async_converse(hass, "Hello", None, Context(), agent_id=agent)
    timings: Timings = entry.runtime_data.coordinator.last_answer.completion.timings
    return timings


def is_cached(timings: Timings) -> bool:
    """Return whether an answer found the home in the cache."""
    return timings.prompt_n < FEW_TOKENS and timings.cache_n > MANY_TOKENS


async def add_agent(hass: HomeAssistant, entry: ConfigEntry[Any], **options: Any) -> None:
    """Add a second agent that controls the home."""
    data = {CONF_LLM_HASS_API: [llm.LLM_API_ASSIST], **options}
    agent = ConfigSubentry(
        data=MappingProxyType(data),
        subentry_type=SUBENTRY_CONVERSATION,
        title="Second",
        unique_id=None,
    )
    hass.config_entries.async_add_subentry(entry, agent)
    await until_prefilled(hass)
