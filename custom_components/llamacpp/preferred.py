"""Agent of the preferred voice assistant."""

from typing import TYPE_CHECKING

from homeassistant.components import conversation
from homeassistant.core import callback
from homeassistant.helpers import entity_registry as er

from .const import DOMAIN

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant


@callback
def async_preferred_agent(hass: HomeAssistant) -> str | None:
    """Return the entity id of the preferred voice assistant's agent, None unless it is ours.

    The agent may be one of a server that is not set up.
    """
    if "assist_pipeline" not in hass.config.components:
        return None
    # Where it is not used, what it requires may be missing.
    from homeassistant.components.assist_pipeline.pipeline import (  # noqa: PLC0415
        async_get_pipeline,
    )

    agent = er.async_get(hass).async_get(async_get_pipeline(hass).conversation_engine)
    if (
        agent is None
        or (agent.platform, agent.domain) != (DOMAIN, conversation.DOMAIN)
        or agent.disabled_by
    ):
        return None
    return agent.entity_id
