"""Voice assistants of Home Assistant, and the agents that they use.

What `assist_pipeline` requires may be missing where it is not used, so it is imported late.
"""

from typing import TYPE_CHECKING

from homeassistant.components import conversation
from homeassistant.core import callback
from homeassistant.helpers import entity_registry as er

from .const import DOMAIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from homeassistant.components.assist_pipeline import Pipeline
    from homeassistant.config_entries import ConfigEntry
    from homeassistant.core import HomeAssistant


def has_assistants(hass: HomeAssistant) -> bool:
    """Return whether Home Assistant has voice assistants at all."""
    return "assist_pipeline" in hass.config.components


@callback
def async_preferred_agent(hass: HomeAssistant) -> str | None:
    """Return the entity id of the preferred voice assistant's agent, None unless it is ours.

    The agent may be one of a server that is not set up.
    """
    if not has_assistants(hass):
        return None
    engine = async_preferred_assistant(hass).conversation_engine
    agent = er.async_get(hass).async_get(engine)
    if (
        agent is None
        or (agent.platform, agent.domain) != (DOMAIN, conversation.DOMAIN)
        or agent.disabled_by
    ):
        return None
    return agent.entity_id


@callback
def async_preferred_assistant(hass: HomeAssistant) -> Pipeline:
    """Return the preferred voice assistant, where `has_assistants`."""
    from homeassistant.components.assist_pipeline.pipeline import (  # noqa: PLC0415
        async_get_pipeline,
    )

    return async_get_pipeline(hass)


def assistants_of(hass: HomeAssistant, entry: ConfigEntry) -> list[Pipeline]:
    """Return the voice assistants that use an agent of an entry."""
    if not has_assistants(hass):
        return []
    from homeassistant.components import assist_pipeline  # noqa: PLC0415

    agents = {entry.entry_id, *agents_of_entry(hass, entry)}
    pipelines = assist_pipeline.async_get_pipelines(hass)
    return [one for one in pipelines if one.conversation_engine in agents]


async def async_use_agent(hass: HomeAssistant, assistants: Iterable[Pipeline], agent: str) -> None:
    """Have voice assistants use an agent."""
    from homeassistant.components import assist_pipeline  # noqa: PLC0415

    for one in assistants:
        await assist_pipeline.async_update_pipeline(hass, one, conversation_engine=agent)


@callback
def async_on_assistants_changed(
    hass: HomeAssistant, action: Callable[[], None]
) -> Callable[[], None]:
    """Run an action after each change of a voice assistant; return what ends that."""
    if not has_assistants(hass):
        return lambda: None
    from homeassistant.components.assist_pipeline.pipeline import (  # noqa: PLC0415
        KEY_ASSIST_PIPELINE,
    )

    async def changed(*_change: object) -> None:
        action()

    return hass.data[KEY_ASSIST_PIPELINE].pipeline_store.async_add_listener(changed)


def agents_of_entry(hass: HomeAssistant, entry: ConfigEntry) -> list[str]:
    """Return the entity ids of an entry's conversation agents."""
    entities = er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)
    return [one.entity_id for one in entities if one.domain == conversation.DOMAIN]
