"""The test plugin, on a newer Home Assistant than the one it was made for.

pytest loads this in the place of all installed plugins: PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 and
PYTEST_PLUGINS=tests.newest.
"""

# Home Assistant refuses to start if a plugin has imported httpx before.
import homeassistant  # noqa: F401
from homeassistant.components import logger
from homeassistant.components.logger import helpers

# The test plugin looks for it where it was in 2026.10.
vars(logger)["_clear_logger_overwrites"] = helpers._clear_logger_overwrites  # noqa: SLF001

pytest_plugins = [
    "_hypothesis_pytestplugin",
    "syrupy",
    "pytest_socket",
    "pytest_asyncio.plugin",
    "pytest_freezer",
    "pytest_timeout",
    "xdist.plugin",
    "pytest_homeassistant_custom_component.plugins",
]
