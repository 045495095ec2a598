"""Names that several modules share."""

from typing import Final

DOMAIN: Final = "virtual_home"

CONF_HOME: Final = "home"
CONF_PATH: Final = "path"
CONF_APPLIED: Final = "applied"

ASSISTANT: Final = "conversation"

SERVICE_SET_STATE: Final = "set_state"
SERVICE_RESET: Final = "reset"
SERVICE_SET_TIME: Final = "set_time"
