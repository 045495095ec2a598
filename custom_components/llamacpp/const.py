"""Names and limits of the integration."""

import logging
from typing import Final

DOMAIN: Final = "llamacpp"
LOGGER: Final = logging.getLogger(__package__)
DOCS_URL: Final = (
    "https://github.com/llamacpp-home-assistant/llamacpp-home-assistant"
    "/blob/main/docs/integration.md"
)

# Where our app serves its own API for conversations, beside that of llama-server.
CONF_API_PORT: Final = "api_port"

# Whether what is said to an agent in Assist is stored.
CONF_KEEP_HISTORY: Final = "keep_history"

# Whether Home Assistant does by itself what it understands word for word.
CONF_EXACT_FIRST: Final = "exact_first"
DEFAULT_EXACT_FIRST: Final = True

# Whether an agent's prompt is processed before somebody speaks.
CONF_KEEP_WARM: Final = "keep_warm"

SUBENTRY_CONVERSATION: Final = "conversation"
SUBENTRY_AI_TASK: Final = "ai_task_data"
DEFAULT_AGENT_NAME: Final = "Llama.cpp"
DEFAULT_TASK_NAME: Final = "Llama.cpp AI Task"

# A server is asked this often (seconds): seldom while all is well, often once it is away or while
# it loads, so that it is back soon after a restart, and ever more seldom the longer it is away.
POLL_SECONDS: Final = 30
RETRY_SECONDS: Final = 5
LONGEST_RETRY_SECONDS: Final = 60

# A server that was away at the last look has so long to say that it is back, before whoever asks is
# told that it is not.
RECHECK_SECONDS: Final = 1.0

# A model that is being read from a slow disk, or downloaded by the server, gets this long.
LOADING_SECONDS: Final = 15 * 60
LOADING_POLL_SECONDS: Final = 1
# A router ends the process of a model within a second, or kills it after ten.
UNLOADING_SECONDS: Final = 30
# A router that has no room for a model is asked again for this long: a warm-up that was broken off
# keeps another one at work for a moment.
BUSY_SECONDS: Final = 10

# Prompts are made anew so long after a change of the home.
HOME_CHANGE_SECONDS: Final = 1.0

# What a server is must be told within this time, or an answer is begun without.
NOTICE_SECONDS: Final = 1.0
