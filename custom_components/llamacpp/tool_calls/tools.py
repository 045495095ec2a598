"""Convert Home Assistant's tools to the tools of a chat completion."""

from collections import OrderedDict
from itertools import chain
from typing import TYPE_CHECKING, Any, cast, override

import probatio
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import llm, selector

from ..client import ToolParam
from ..const import LOGGER
from .arguments import LABELS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from homeassistant.core import HomeAssistant
    from homeassistant.util.json import JsonObjectType

type Serializer = Callable[[Any], Any] | None

MAX_SCHEMAS = 128
# Size of the cache of tool lists, by agent, device and language.
MAX_LISTS = 32
# Patterns of times, by their formats in schemas: the server's own grammar needs a time zone.
# Seconds are optional: small models would invent them.
DATE = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?"
TIMES = {"time": _TIME, "date-time": f"{DATE}T{_TIME}"}
# Selectors of names in the home, which Home Assistant only describes as strings.
NAMED = {
    "area": selector.AreaSelector,
    "device": selector.DeviceSelector,
    "floor": selector.FloorSelector,
    "target": selector.TargetSelector,
}


class _ByParts[T]:
    """A cache keyed by the identity of objects.

    It keeps the objects alive, so that no other object gets their ids.
    """

    def __init__(self, n_most: int) -> None:
        self._known: OrderedDict[tuple[int, ...], tuple[tuple[Any, ...], T]] = OrderedDict()
        self._n_most = n_most

    def get(self, parts: tuple[Any, ...], make: Callable[[], T]) -> T:
        """Return the cached value for these parts, or make it; it must not be changed."""
        key = tuple(map(id, parts))
        if key in self._known:
            self._known.move_to_end(key)
        else:
            self._known[key] = (parts, make())
            if len(self._known) > self._n_most:
                self._known.popitem(last=False)
        return self._known[key][1]


def _translated(schema: probatio.Schema, serializer: Serializer) -> dict[str, Any]:
    """Return the JSON schema of a tool's parameters, from the cache.

    Translating those of a home takes about as long as the rest of the work before the request. Home
    Assistant makes new schemas for every turn from the same markers and validators: these are the
    cache key.
    """
    if not isinstance(schema.schema, dict):
        return _in_order(_json_schema(schema, serializer))
    parts = (serializer, *chain.from_iterable(schema.schema.items()))
    return _SCHEMAS.get(parts, lambda: _in_order(_json_schema(schema, serializer)))


def _json_schema(schema: probatio.Schema, serializer: Serializer) -> dict[str, Any]:
    def serialize(value: Any) -> Any:
        serialized = serializer(value) if serializer else probatio.UNSUPPORTED
        if not isinstance(serialized, dict):
            return serialized
        described = serialized.get("items", serialized)
        if kind := next((kind for kind, one in NAMED.items() if isinstance(value, one)), None):
            described["format"] = kind
        if pattern := TIMES.get(described.get("format", "")):
            described["pattern"] = f"^{pattern}$"
        if isinstance(value, selector.SelectSelector) and (labels := labels_of(value)):
            described[LABELS] = labels
        return serialized

    return probatio.to_openapi(schema, custom_serializer=serialize, openapi_version="3.1.0")


def labels_of(value: selector.SelectSelector) -> dict[str, str]:
    """Return the labels of a selector's choices, where they differ from the values."""
    options = [one for one in value.config["options"] if isinstance(one, dict)]
    return {one["value"]: one["label"] for one in options if one["label"] != one["value"]}


def _in_order[T](schema: T) -> T:
    """Return a schema with sorted enums.

    Home Assistant keeps some as sets, whose order changes with each restart.
    """
    if isinstance(schema, dict):
        ordered = {name: _in_order(value) for name, value in schema.items()}
        if isinstance(choices := ordered.get("enum"), list):
            ordered["enum"] = sorted(choices, key=repr)
        return cast("T", ordered)
    if isinstance(schema, list):
        return cast("T", [_in_order(one) for one in schema])
    return schema


_SCHEMAS = _ByParts[dict[str, Any]](MAX_SCHEMAS)
_TOOLS = _ByParts[list[ToolParam]](MAX_LISTS)
_SENT = _ByParts[list[ToolParam]](MAX_LISTS)
_RANGE = ("minimum", "maximum")


def to_tools(api: llm.APIInstance) -> list[ToolParam]:
    """Return the API's tools in OpenAI's format, sorted by name; they must not be changed.

    Home Assistant orders them as integrations happen to start; a prompt that changes with every
    restart would miss the KV cache.
    """
    # The schemas do not enumerate the names of the home, though the grammar would then let a model
    # write no others. In a home of 58 entities they lengthen a prompt of 6,247 tokens: domains by
    # 299, floors by 204, areas by 1,118, entities by 1,835, all by 3,456. And a model that has
    # begun a call must finish it: SmolLM2 135M, asked for 12 entities that do not exist, moved
    # another one 12 times, and none without enumerations. `ToolCallValidator` corrects names for no
    # tokens, and lists the valid ones to the model after an invalid one.
    return _TOOLS.get(
        (
            api.custom_serializer,
            *chain.from_iterable((one.name, one.parameters, one.description) for one in api.tools),
        ),
        lambda: [_to_tool(tool, api) for tool in sorted(api.tools, key=lambda tool: tool.name)],
    )


def without_clipping(tools: Sequence[ToolParam]) -> list[ToolParam]:
    """Return tools for a request whose grammar allows any number.

    The prompt has the ranges; the validator checks them after the call. With integer ranges in the
    grammar, a model that wants 150 percent could only write 15, or 0.
    """
    return _SENT.get((tools,), lambda: [_unclipped(one) for one in tools])


def _unclipped[T](schema: T) -> T:
    if isinstance(schema, dict):
        found = {name: _unclipped(value) for name, value in schema.items()}
        if found.get("type") == "integer" and not found.keys().isdisjoint(_RANGE):
            # The grammar enforces no ranges of other numbers.
            found["type"] = "number"
        return cast("T", found)
    if isinstance(schema, list):
        return cast("T", [_unclipped(one) for one in schema])
    return schema


def arguments_by_tool(
    tools: Iterable[ToolParam],
) -> dict[str, tuple[str, Collection[str]]]:
    """Return the full name and the argument schemas of each tool, by its short name."""
    functions = (one["function"] for one in tools)
    return {
        one["name"].rpartition("__")[2]: (
            one["name"],
            one.get("parameters", {}).get("properties", {}),
        )
        for one in functions
    }


def _to_tool(tool: llm.Tool, api: llm.APIInstance) -> ToolParam:
    function = {
        "name": tool.name,
        "parameters": _translated(tool.parameters, api.custom_serializer),
    }
    if tool.description:
        function["description"] = tool.description
    return {"type": "function", "function": function}


class GuardedTool(llm.NamespacedTool):
    """A tool that only raises errors that Home Assistant sends to the model.

    Any other exception of a tool would end the turn without an answer. Home Assistant's own wrapper
    is the base, so that it reports the wrapped tool and its integration, not ours.
    """

    def __init__(self, tool: llm.Tool) -> None:
        """Wrap a tool under its own name."""
        super().__init__("", tool)
        self.name = tool.name

    @override
    async def async_call(
        self, hass: HomeAssistant, tool_input: llm.ToolInput, llm_context: llm.LLMContext
    ) -> llm.ToolResult | JsonObjectType:
        try:
            return await super().async_call(hass, tool_input, llm_context)
        except HomeAssistantError, probatio.Invalid:
            raise
        except Exception as err:
            LOGGER.exception("The tool %s failed", tool_input.tool_name)
            raise HomeAssistantError(f"The tool failed: {err!r}") from err
