"""The date for agents that control nothing."""

from typing import TYPE_CHECKING, override

from homeassistant.components.llm.llm import GetDateTimeTool
from homeassistant.helpers import llm

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

API_ID = "llamacpp_date"


class DateApi(llm.API):
    """An API whose only tool is the date.

    Without an API, Home Assistant writes its clock with seconds into the system prompt, so that the
    KV cache would miss on every turn.
    """

    def __init__(self, hass: HomeAssistant) -> None:
        """Initialize the API without registering it: only agents without another one use it."""
        super().__init__(hass=hass, id=API_ID, name="Date")

    @override
    async def async_get_api_instance(self, llm_context: llm.LLMContext) -> llm.APIInstance:
        return llm.APIInstance(
            api=self, api_prompt="", llm_context=llm_context, tools=[GetDateTimeTool()]
        )
