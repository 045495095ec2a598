"""Home Assistant's APIs with a short prompt for models that do not know tools."""

from dataclasses import replace
from typing import TYPE_CHECKING, override

from homeassistant.helpers import llm

from ..home.exposed import area_of_device, async_exposed, exposed_home
from .assist import RememberedAssist, is_assist
from .home_prompt import home_prompt

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from ..home.language import Language


class CommandsApi(llm.API):
    """The tools of other APIs, with our own prompt instead of Assist's."""

    def __init__(self, hass: HomeAssistant, apis: tuple[str, ...], language: Language) -> None:
        """Initialize the API without registering it. apis: ids of the APIs with the tools."""
        super().__init__(
            hass=hass, id=f"llamacpp_commands_{language.code}_{'_'.join(apis)}", name="Commands"
        )
        self._apis = apis
        self._language = language

    @override
    async def async_get_api_instance(self, llm_context: llm.LLMContext) -> llm.APIInstance:
        if is_assist(self.hass, self._apis):
            whole = await RememberedAssist(self.hass).async_get_api_instance(llm_context)
        else:
            whole = await llm.async_get_api(self.hass, list(self._apis), llm_context)
        prompts = []
        if llm.LLM_API_ASSIST in self._apis:
            await async_exposed(self.hass, llm_context.assistant).async_read()
            home = exposed_home(self.hass, llm_context.assistant)
            here = area_of_device(self.hass, llm_context.device_id)
            prompts.append(home_prompt(home, self._language, here))
        for api_id in self._apis:
            if api_id != llm.LLM_API_ASSIST:
                other = await llm.async_get_api(self.hass, api_id, llm_context)
                prompts.append(other.api_prompt)
        return replace(whole, api_prompt="\n".join(prompts))
