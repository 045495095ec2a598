"""Tools of Home Assistant in requests."""

from typing import TYPE_CHECKING, Any

import probatio
from homeassistant.core import Context
from homeassistant.helpers import llm

from custom_components.llamacpp.tool_calls.tools import to_tools

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant


class _Tool(llm.Tool):
    """A tool without a function."""

    integration = "test"

    def __init__(self, name: str, description: str | None) -> None:
        self.name = name
        self.description = description
        self.parameters = probatio.Schema({probatio.Required("name"): str})

    async def async_call(self, *_: Any) -> llm.ToolResult:
        raise NotImplementedError


class _Api(llm.API):
    """An API with tools alone."""

    async def async_get_api_instance(self, llm_context: llm.LLMContext) -> llm.APIInstance:
        tools: list[llm.Tool] = [_Tool("b", "Second"), _Tool("a", None)]
        return llm.APIInstance(self, "", llm_context, tools)


async def test_tools_are_sorted(hass: HomeAssistant) -> None:
    """The order of tools does not depend on Home Assistant's."""
    context = llm.LLMContext("llamacpp", Context(), "en", "conversation", None)
    api = await _Api(hass=hass, id="test", name="Test").async_get_api_instance(context)
    first, second = to_tools(api)
    assert first["function"]["name"] == "a"
    assert "description" not in first["function"]
    assert second["function"]["description"] == "Second"
    parameters = second["function"]["parameters"]
    assert parameters["properties"]["name"]["type"] == "string"
    assert parameters["required"] == ["name"]


async def test_choices_are_sorted(hass: HomeAssistant) -> None:
    """Home Assistant's sets are sorted, however deep they are in a schema."""
    context = llm.LLMContext("llamacpp", Context(), "en", "conversation", None)
    api = await _Api(hass=hass, id="test", name="Test").async_get_api_instance(context)
    names = sorted("abcdefghij")
    step = probatio.Any(probatio.In(set(names)), int)
    api.tools[1].parameters = probatio.Schema({probatio.Required("step"): [step]})
    parameters = to_tools(api)[0]["function"]["parameters"]
    one_of, number = parameters["properties"]["step"]["items"]["anyOf"]
    assert one_of["enum"] == names
    assert number == {"type": "integer"}


async def test_schemas_are_told_apart(hass: HomeAssistant) -> None:
    """A schema is translated once; another schema of the same tool is translated, too."""
    context = llm.LLMContext("llamacpp", Context(), "en", "conversation", None)
    api = await _Api(hass=hass, id="test", name="Test").async_get_api_instance(context)
    first = to_tools(api)[0]["function"]["parameters"]
    # Home Assistant makes a new schema of the same parts for every turn.
    api.tools[1].parameters = probatio.Schema(dict(api.tools[1].parameters.schema))
    assert to_tools(api)[0]["function"]["parameters"] is first
    api.tools[1].parameters = probatio.Schema({probatio.Required("number"): int})
    assert list(to_tools(api)[0]["function"]["parameters"]["properties"]) == ["number"]
    for number in range(200):
        api.tools[1].parameters = probatio.Schema({probatio.Required(f"n{number}"): int})
        assert list(to_tools(api)[0]["function"]["parameters"]["properties"]) == [f"n{number}"]
