"""Home Assistant's tools as the tools of a chat completion."""

from collections import OrderedDict
from itertools import chain
from typing import TYPE_CHECKING, Any

import probatio

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeassistant.helpers import llm

type ToolParam = dict[str, Any]
type Serializer = Callable[[Any], Any] | None

MAX_SCHEMAS = 128


class _Schemas:
    """The JSON schemas of tools' parameters, each translated once.

    Translating those of a home takes about as long as all the rest between the words and the
    request. Home Assistant makes new schemas for every turn, but of the same markers and
    validators: these tell a schema. They are kept alive, so that no other object gets their ids.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, ...], tuple[tuple[Any, ...], dict[str, Any]]]
        self._known = OrderedDict()

    def translated(self, schema: probatio.Schema, serializer: Serializer) -> dict[str, Any]:
        """Return the JSON schema, which must not be changed."""
        if not isinstance(schema.schema, dict):
            return _json_schema(schema, serializer)
        parts = (serializer, *chain.from_iterable(schema.schema.items()))
        key = tuple(map(id, parts))
        if key in self._known:
            self._known.move_to_end(key)
        else:
            self._known[key] = (parts, _json_schema(schema, serializer))
            if len(self._known) > MAX_SCHEMAS:
                self._known.popitem(last=False)
        return self._known[key][1]


def _json_schema(schema: probatio.Schema, serializer: Serializer) -> dict[str, Any]:
    return probatio.to_openapi(schema, custom_serializer=serializer, openapi_version="3.1.0")


_SCHEMAS = _Schemas()


def to_tools(api: llm.APIInstance) -> list[ToolParam]:
    """Return the API's tools in OpenAI's format, sorted by name.

    Home Assistant gives them in the order in which integrations happened to start; a prompt that
    changes with every start could not be kept warm.
    """
    return [_to_tool(tool, api) for tool in sorted(api.tools, key=lambda tool: tool.name)]


def _to_tool(tool: llm.Tool, api: llm.APIInstance) -> ToolParam:
    function = {
        "name": tool.name,
        "parameters": _SCHEMAS.translated(tool.parameters, api.custom_serializer),
    }
    if tool.description:
        function["description"] = tool.description
    return {"type": "function", "function": function}


def to_response_format(
    name: str, structure: probatio.Schema, serializer: Serializer
) -> dict[str, Any]:
    """Return the `response_format` under which the model can only answer in this structure."""
    schema = _json_schema(structure, serializer)
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema, "strict": True}}
