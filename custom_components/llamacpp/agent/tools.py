"""Home Assistant's tools as the tools of a chat completion."""

from typing import TYPE_CHECKING, Any

import probatio

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeassistant.helpers import llm

type ToolParam = dict[str, Any]


def to_tools(api: llm.APIInstance) -> list[ToolParam]:
    """Return the API's tools in OpenAI's format, sorted by name.

    Home Assistant gives them in the order in which integrations happened to start; a prompt that
    changes with every start could not be kept warm.
    """
    return [_to_tool(tool, api) for tool in sorted(api.tools, key=lambda tool: tool.name)]


def _to_tool(tool: llm.Tool, api: llm.APIInstance) -> ToolParam:
    function = {
        "name": tool.name,
        "parameters": probatio.to_openapi(
            tool.parameters, custom_serializer=api.custom_serializer, openapi_version="3.1.0"
        ),
    }
    if tool.description:
        function["description"] = tool.description
    return {"type": "function", "function": function}


def to_response_format(
    name: str, structure: probatio.Schema, custom_serializer: Callable[[Any], Any]
) -> dict[str, Any]:
    """Return the `response_format` under which the model can only answer in this structure."""
    schema = probatio.to_openapi(
        structure, custom_serializer=custom_serializer, openapi_version="3.1.0"
    )
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": True}}
