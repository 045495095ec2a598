"""Home Assistant's Assist API, rendered only after a change of the home."""

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, override
from weakref import WeakKeyDictionary

from homeassistant.components.intent import async_device_supports_timers
from homeassistant.components.llm import DATA_PLATFORMS
from homeassistant.helpers import intent, llm

from ..home.exposed import async_exposed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from homeassistant.core import HomeAssistant

    from ..home.exposed import ExposedHome

# Maximum number of devices in the cache.
MAX_DEVICES = 32
CORE = "homeassistant.components."

# By device: the cache key, and the rendered API instance.
type _Rendered = OrderedDict[
    str | None, tuple[tuple[int, bool, tuple[intent.IntentHandler, ...]], llm.APIInstance]
]

_RENDERED: WeakKeyDictionary[ExposedHome, _Rendered] = WeakKeyDictionary()
# By home: its version, and whether only core integrations contributed to the API.
_IS_CORES: WeakKeyDictionary[ExposedHome, tuple[int, bool]] = WeakKeyDictionary()


def is_assist(hass: HomeAssistant, apis: Iterable[str] | None) -> bool:
    """Return whether these API ids are just Assist's."""
    return [*(apis or ())] == [llm.LLM_API_ASSIST] and any(
        one.id == llm.LLM_API_ASSIST for one in llm.async_get_apis(hass)
    )


class RememberedAssist(llm.API):
    """The Assist API with a cache by device and version of the home.

    In a large home, rendering takes nearly all of the time before the request, and Home Assistant
    renders for each conversation, or even for each turn. There is no cache if integrations other
    than Home Assistant's contribute: we cannot know what their part depends on.
    """

    def __init__(self, hass: HomeAssistant) -> None:
        """Initialize the API without registering it."""
        super().__init__(hass=hass, id=llm.LLM_API_ASSIST, name="Assist")

    @override
    async def async_get_api_instance(self, llm_context: llm.LLMContext) -> llm.APIInstance:
        exposed, device = async_exposed(self.hass, llm_context.assistant), llm_context.device_id
        if not await self._is_cores(exposed):
            return await llm.async_get_api(self.hass, self.id, llm_context)
        known = _RENDERED.setdefault(exposed, OrderedDict())
        key = (
            exposed.version,
            device is not None and async_device_supports_timers(self.hass, device),
            tuple(intent.async_get(self.hass)),
        )
        if device not in known or known[device][0] != key:
            instance = await llm.async_get_api(self.hass, self.id, llm_context)
            known[device] = (key, instance)
            if len(known) > MAX_DEVICES:
                known.popitem(last=False)
        known.move_to_end(device)
        instance = known[device][1]
        return replace(instance, llm_context=llm_context, tools=[*instance.tools])

    async def _is_cores(self, exposed: ExposedHome) -> bool:
        """Return whether only core integrations contribute to the API."""
        version = exposed.version
        if _IS_CORES.get(exposed, (None,))[0] != version:
            platforms = await self.hass.data[DATA_PLATFORMS].async_get_platforms()
            names = (getattr(one, "__name__", "") for one in platforms.values())
            _IS_CORES[exposed] = (version, all(one.startswith(CORE) for one in names))
        return _IS_CORES[exposed][1]
