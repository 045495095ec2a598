"""Constants of the integration."""

import logging
from typing import Final

DOMAIN: Final = "llamacpp"
LOGGER: Final = logging.getLogger(__package__)
DOCS_URL: Final = (
    "https://github.com/llamacpp-home-assistant/llamacpp-home-assistant/blob/main/docs"
)

# Port of our app's own API for conversations, beside that of llama-server.
CONF_API_PORT: Final = "api_port"

# Store conversations with an agent in Assist.
CONF_KEEP_HISTORY: Final = "keep_history"

# Let Home Assistant handle the sentences that it understands exactly.
CONF_EXACT_FIRST: Final = "exact_first"
DEFAULT_EXACT_FIRST: Final = True

# Prefill an agent's prompt in advance.
CONF_KEEP_WARM: Final = "keep_warm"

SUBENTRY_CONVERSATION: Final = "conversation"
SUBENTRY_AI_TASK: Final = "ai_task_data"
DEFAULT_AGENT_NAME: Final = "House Llama"
DEFAULT_TASK_NAME: Final = "House Llama AI Task"

# Polling intervals in seconds: long while all is well, short while the server is away or loading,
# so that it is back soon after a restart, and growing to the longest while it stays away.
POLL_SECONDS: Final = 30
RETRY_SECONDS: Final = 5
LONGEST_RETRY_SECONDS: Final = 60

# Timeout of the health check before a request fails because the server was away at the last poll.
RECHECK_SECONDS: Final = 1.0

# Limit for loading a model from a slow disk, or for the server to download it.
LOADING_SECONDS: Final = 15 * 60
# Seconds until a flow shows that it waits.
QUICK_SECONDS: Final = 0.5
LOADING_POLL_SECONDS: Final = 1
# A router stops a model's process within a second, or kills it after ten.
UNLOADING_SECONDS: Final = 30
# How long to retry loading a model on a router without room for it: an aborted prefill keeps
# another model busy for a moment.
BUSY_SECONDS: Final = 10

# Delay of new prompts after a change of the home.
HOME_CHANGE_SECONDS: Final = 1.0

# Timeout of the /props check before an answer; the answer then starts without it.
NOTICE_SECONDS: Final = 1.0
