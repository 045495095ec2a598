"""The calls of tools that reached Home Assistant, and whether they name what is there."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

NOT_FOUND = "not found"
# Arguments of Home Assistant's tools that name something in the home, by what they name.
ENTITY_ARGUMENTS = ("name", "todo_list", "calendar")
AREA_ARGUMENTS = ("area",)
FLOOR_ARGUMENTS = ("floor",)
# Their arguments are their own: a timer may be called as one likes.
OWN_ARGUMENTS = ("script__", "Timer")
READING = (
    *("GetLiveContext", "GetDateTime", "HassGetState", "HassGetWeather", "HassTimerStatus"),
    *("get_items", "get_events", "HassGetCurrentTime", "HassGetCurrentDate"),
    "HassClimateGetTemperature",
)


@dataclass(frozen=True, slots=True)
class AgentCall:
    """A call of a tool.

    external: the agent tells of it, but Home Assistant was not asked. error: what Home Assistant
    said to it, nothing if it was done. wrong: what it names that is not there.
    """

    tool: str
    arguments: Mapping[str, Any]
    external: bool = False
    error: str | None = None
    wrong: Sequence[str] = ()

    @property
    def acts(self) -> bool:
        """Tell whether it is to do something, rather than to look something up."""
        return not self.tool.endswith(READING)


@dataclass(frozen=True, slots=True)
class HomeNames:
    """What can be named in a home, in the form that Home Assistant compares."""

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
    """Return the names and aliases of these things, of which each has `name` and `aliases`."""
    return HomeNames(*(frozenset(_all_names(things)) for things in (exposed, areas, floors)))


def _all_names(things: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for thing in things:
        for name in (thing.get("name"), *(thing.get("aliases") or ())):
            if name:
                yield normal(str(name))


def calls_of(content: Iterable[Mapping[str, Any]], names: HomeNames) -> list[AgentCall]:
    """Return the calls in a chat log of Home Assistant, given by its messages.

    names: what there is in the home.
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
    """Return what Home Assistant said to a call that it could not do."""
    if not result["error"]:
        return None
    data = result["data"] or {}
    return f"{data.get('error')}: {data.get('error_text')}"


def wrong_with(call: AgentCall, names: HomeNames) -> list[str]:
    """Return what a call names that is not there; nothing if all is there."""
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
