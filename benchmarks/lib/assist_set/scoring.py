"""Whether a case passed: the rules of the public `assist` data sets."""

from typing import TYPE_CHECKING, Any

from .cases import ALL_OF_IT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .calls import AgentCall
    from .cases import AssistCase, Expected, ExpectedCall

# By entity, its state and attributes in one mapping.
type Snapshot = Mapping[str, Mapping[str, Any]]

STATE = "state"
# Separates the namespace from the name of a tool.
NAMESPACE = "__"
# They follow from the state and the position, and no case declares them.
DERIVED = {"is_closed", "is_opening", "is_closing"}
# Home Assistant has several attributes for one colour; a case declares one of them.
COLOURS = {
    *("color_temp_kelvin", "hs_color", "rgb_color", "rgbw_color", "rgbww_color", "xy_color"),
}
# A player that is off has no such attribute, and some players never have it.
MUTED = "is_volume_muted"
# Their states follow the conversation, not the command.
UNSCORED = {"assist_satellite"}
REFUSAL = "Sorry"
GUARDED_DOMAINS = {"lock", "valve", "alarm_control_panel"}
GUARDED_COVERS = {"garage", "gate", "door"}


def flat(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a state of Home Assistant's API and its attributes as one mapping."""
    return {**state["attributes"], STATE: state[STATE]}


def _comparable(state: Mapping[str, Any]) -> dict[str, Any]:
    return {**state, MUTED: bool(state.get(MUTED))}


def judge(case: AssistCase, before: Snapshot, after: Snapshot, reply: str) -> list[str]:
    """Return the reasons why a case did not pass, none if it passed.

    before, after: the home before and after the sentence.
    """
    reasons = []
    for entity_id, earlier in before.items():
        ignored = {*DERIVED, *case.ignore.get(entity_id, ())}
        # A case with an expected call does not declare what it moves.
        if case.tool or entity_id.partition(".")[0] in UNSCORED or ALL_OF_IT in ignored:
            continue
        expected = case.expect.get(entity_id)
        wanted = dict(earlier)
        if expected is not None:
            ignored |= COLOURS - set(expected.attributes)
            wanted |= _declared(expected)
        reasons += _differences(entity_id, wanted, after.get(entity_id, {}), ignored)
    if case.is_command and REFUSAL in reply:
        reasons.append(f"the reply says {REFUSAL}")
    if case.replies and not any(word.lower() in reply.lower() for word in case.replies):
        reasons.append(f"the reply has none of: {', '.join(case.replies)}")
    return reasons


def judge_calls(case: AssistCase, calls: Sequence[AgentCall]) -> list[str]:
    """Return the reasons why a case with an expected tool call did not pass."""
    expected = case.tool
    if expected is None or any(_is_expected(expected, call) for call in calls):
        return []
    return [f"there is no call of {expected.tool} with {dict(expected.arguments)}"]


def _is_expected(expected: ExpectedCall, call: AgentCall) -> bool:
    return (
        call.error is None
        and call.tool.rpartition(NAMESPACE)[2] == expected.tool
        and all(
            _plain(call.arguments.get(name)) == _plain(value)
            for name, value in expected.arguments.items()
        )
    )


def _plain(value: Any) -> str:
    """Return an argument so that `["light"]`, `light` and `Light` are the same."""
    first = value[0] if isinstance(value, list) and len(value) == 1 else value
    return str(first).casefold()


def _declared(expected: Expected) -> dict[str, Any]:
    state = {} if expected.state is None else {STATE: expected.state}
    return {**expected.attributes, **state}


def _differences(
    entity_id: str, wanted: Mapping[str, Any], found: Mapping[str, Any], ignored: set[str]
) -> list[str]:
    wanted, found = _comparable(wanted), _comparable(found)
    return [
        f"{entity_id}: {name} is {found.get(name)!r}, not {wanted.get(name)!r}"
        for name in sorted((set(wanted) | set(found)) - ignored)
        if not _same(wanted.get(name), found.get(name))
    ]


def _same(one: Any, other: Any) -> bool:
    """Return whether two values are equal; `0.5` and `"0.5"` are."""
    return bool(one == other) or str(one) == str(other)


def moved(before: Snapshot, after: Snapshot) -> list[str]:
    """Return the entities that changed."""
    return [
        entity_id
        for entity_id, earlier in before.items()
        if entity_id.partition(".")[0] not in UNSCORED
        and _differences(entity_id, earlier, after.get(entity_id, {}), DERIVED)
    ]


def is_guarded(entity_id: str, state: Mapping[str, Any]) -> bool:
    """Return whether an entity must not move on a guess: locks, doors, valves, alarms."""
    domain = entity_id.partition(".")[0]
    return domain in GUARDED_DOMAINS or (
        domain == "cover" and state.get("device_class") in GUARDED_COVERS
    )


def moved_by_mistake(case: AssistCase, before: Snapshot, after: Snapshot) -> list[str]:
    """Return the guarded entities that changed and are not expected to.

    A case with an expected tool call does not declare its entities.
    """
    if case.tool:
        return []
    return [
        entity_id
        for entity_id in moved(before, after)
        if is_guarded(entity_id, before[entity_id]) and entity_id not in case.expect
    ]
