"""Tool calls that reached Home Assistant, and whether the names in them exist."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NOT_FOUND = "not found"
# Arguments of Home Assistant's tools that hold names of the home.
ENTITY_ARGUMENTS = ("name", "todo_list", "calendar")
AREA_ARGUMENTS = ("area",)
FLOOR_ARGUMENTS = ("floor",)
# Tools whose arguments are free: a timer can have any name.
OWN_ARGUMENTS = ("script__", "Timer")
READING = (
    *("GetLiveContext", "GetDateTime", "HassGetState", "HassGetWeather", "HassTimerStatus"),
    *("get_items", "get_events", "HassGetCurrentTime", "HassGetCurrentDate"),
    "HassClimateGetTemperature",
)


@dataclass(frozen=True, slots=True)
class AgentCall:
    """A tool call of an agent.

    external: the agent reports it, but did not send it to Home Assistant. error: of Home
    Assistant, None if the call succeeded. wrong: names in it that do not exist.
    """

    tool: str
    arguments: Mapping[str, Any]
    external: bool = False
    error: str | None = None
    wrong: Sequence[str] = ()

    @property
    def acts(self) -> bool:
        """Return whether the tool acts, rather than reads."""
        return not self.tool.endswith(READING)


@dataclass(frozen=True, slots=True)
class HomeNames:
    """The names in a home, in the form that Home Assistant compares."""

    entities: frozenset[str] = field(default_factory=frozenset)
    areas: frozenset[str] = field(default_factory=frozenset)
    floors: frozenset[str] = field(default_factory=frozenset)


def normal(name: str) -> str:
    """Return a name in the form in which Home Assistant compares it."""
    return name.strip().casefold()


def names_of(
    exposed: Iterable[Mapping[str, Any]],
    areas: Iterable[Mapping[str, Any]],
    floors: Iterable[Mapping[str, Any]],
) -> HomeNames:
    """Return the names of these mappings, each with `name` and `aliases`."""
    return HomeNames(*(frozenset(_all_names(things)) for things in (exposed, areas, floors)))


def _all_names(things: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for thing in things:
        for name in (thing.get("name"), *(thing.get("aliases") or ())):
            if name:
                yield normal(str(name))


def calls_of(content: Iterable[Mapping[str, Any]], names: HomeNames) -> list[AgentCall]:
    """Return the tool calls in the messages of a chat log of Home Assistant.

    names: of the home.
    """
    messages = list(content)
    errors = {
        message["tool_call_id"]: _error(message["result"])
        for message in messages
        if message["role"] == "tool_result"
    }
    calls = [
        AgentCall(
            call["tool_name"],
            call["tool_args"] or {},
            bool(call.get("external")),
            errors.get(call["id"]),
        )
        for message in messages
        for call in message.get("tool_calls") or ()
    ]
    return [replace(call, wrong=wrong_with(call, names)) for call in calls]


def _error(result: Mapping[str, Any]) -> str | None:
    """Return the error in the result of a tool, None if it succeeded."""
    if not result["error"]:
        return None
    data = result["data"] or {}
    return f"{data.get('error')}: {data.get('error_text')}"


def wrong_with(call: AgentCall, names: HomeNames) -> list[str]:
    """Return the names in a call that do not exist."""
    if call.error and f'Tool "{call.tool}" {NOT_FOUND}' in call.error:
        return [f"there is no tool {call.tool}"]
    if any(part in call.tool for part in OWN_ARGUMENTS):
        return []
    return [
        f"{call.tool}: there is no {kind} {name}"
        for kind, arguments, known in (
            ("exposed entity", ENTITY_ARGUMENTS, names.entities),
            ("area", AREA_ARGUMENTS, names.areas),
            ("floor", FLOOR_ARGUMENTS, names.floors),
        )
        for argument in arguments
        for name in _named(call.arguments.get(argument))
        if normal(name) not in known
    ]


def _named(value: Any) -> Sequence[str]:
    if value is None:
        return ()
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]
