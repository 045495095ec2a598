"""Home Assistant's Assist API, rendered again only when something of the home has changed."""

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

# Of so many devices it is remembered what they are told.
MAX_DEVICES = 32
CORE = "homeassistant.components."

# By device: on what the rendering depends besides the device, and what was rendered.
type _Rendered = OrderedDict[
    str | None, tuple[tuple[int, bool, tuple[intent.IntentHandler, ...]], llm.APIInstance]
]

_RENDERED: WeakKeyDictionary[ExposedHome, _Rendered] = WeakKeyDictionary()
# By home: its version, and whether only Home Assistant's integrations had a part in the API then.
_IS_CORES: WeakKeyDictionary[ExposedHome, tuple[int, bool]] = WeakKeyDictionary()


def is_assist(hass: HomeAssistant, apis: Iterable[str] | None) -> bool:
    """Tell whether these are the ids of one API, which is Assist."""
    return [*(apis or ())] == [llm.LLM_API_ASSIST] and any(
        one.id == llm.LLM_API_ASSIST for one in llm.async_get_apis(hass)
    )


class RememberedAssist(llm.API):
    """The Assist API; what it tells of the home is made once for each device and each home.

    In a large home that is nearly all of the time between the words and the request, and Home
    Assistant does it for each conversation, or even for each turn. It is not remembered where
    other integrations than those of Home Assistant have a part in it: nobody knows on what theirs
    depends.
    """

    def __init__(self, hass: HomeAssistant) -> None:
        """Make the API; it is not registered."""
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
        """Return whether only integrations of Home Assistant have a part in the API."""
        version = exposed.version
        if _IS_CORES.get(exposed, (None,))[0] != version:
            platforms = await self.hass.data[DATA_PLATFORMS].async_get_platforms()
            names = (getattr(one, "__name__", "") for one in platforms.values())
            _IS_CORES[exposed] = (version, all(one.startswith(CORE) for one in names))
        return _IS_CORES[exposed][1]
