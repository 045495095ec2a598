"""Options flow of a server: retention of its conversations."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import probatio
from homeassistant.config_entries import OptionsFlow
from homeassistant.helpers.selector import (
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
)

from .history import Retention

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.config_entries import ConfigFlowResult

CONF_KEEP_CONVERSATIONS: Final = "keep_conversations"
CONF_KEEP_DAYS: Final = "keep_days"
CONF_KEEP_MEGABYTES: Final = "keep_megabytes"

_BYTES: Final = 1_000_000
_DEFAULT = Retention()
DEFAULTS: Final[Mapping[str, int]] = {
    CONF_KEEP_DAYS: _DEFAULT.max_age.days,
    CONF_KEEP_CONVERSATIONS: _DEFAULT.max_conversations,
    CONF_KEEP_MEGABYTES: _DEFAULT.max_bytes // _BYTES,
}


def _number(high: int) -> Any:
    selector = NumberSelector(
        NumberSelectorConfig(min=1, max=high, step=1, mode=NumberSelectorMode.BOX)
    )
    return probatio.All(selector, probatio.Coerce(int))


SCHEMA: Final = probatio.Schema(
    {
        probatio.Required(CONF_KEEP_DAYS): _number(3650),
        probatio.Required(CONF_KEEP_CONVERSATIONS): _number(100_000),
        probatio.Required(CONF_KEEP_MEGABYTES): _number(10_000),
    }
)


def retention_of(options: Mapping[str, Any]) -> Retention:
    """Return the retention for a server's options."""
    values = {**DEFAULTS, **options}
    return Retention(
        max_age=timedelta(days=values[CONF_KEEP_DAYS]),
        max_conversations=values[CONF_KEEP_CONVERSATIONS],
        max_bytes=values[CONF_KEEP_MEGABYTES] * _BYTES,
    )


class LlamaCppOptionsFlow(OptionsFlow):
    """Options flow for age, number and size of conversations."""

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show the form and store its values, except defaults."""
        if user_input is not None:
            changed = {key: one for key, one in user_input.items() if one != DEFAULTS[key]}
            return self.async_create_entry(data=changed)
        values = {**DEFAULTS, **self.config_entry.options}
        return self.async_show_form(
            step_id="init", data_schema=self.add_suggested_values_to_schema(SCHEMA, values)
        )
