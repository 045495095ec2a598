"""Config flow of the agent, without a form."""

from typing import TYPE_CHECKING, Any

from homeassistant.config_entries import ConfigFlow

if TYPE_CHECKING:
    from homeassistant.config_entries import ConfigFlowResult


class WordOverlapConfigFlow(ConfigFlow, domain="word_overlap"):
    """Create the entry."""

    VERSION = 1

    async def async_step_user(
        self,
        user_input: dict[str, Any] | None = None,  # noqa: ARG002 - Home Assistant's signature
    ) -> ConfigFlowResult:
        """Create the entry without asking."""
        return self.async_create_entry(title="Word Overlap", data={})
