"""The benchmark `assist` scores like the public sets, and reports wrong names in calls."""

import re
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.lib.assist_set.calls import AgentCall, calls_of, names_of, wrong_with
from benchmarks.lib.assist_set.cases import AssistCase, Expected
from benchmarks.lib.assist_set.play import second_ones
from benchmarks.lib.assist_set.replies import Fault
from benchmarks.lib.assist_set.report import document, table
from benchmarks.lib.assist_set.results import AfterYes, CaseOutcome, Column, PromptSize
from benchmarks.lib.assist_set.scoring import flat, is_guarded, judge, moved, moved_by_mistake

if TYPE_CHECKING:
    from benchmarks.lib.assist_set.scoring import Snapshot

BEFORE: Snapshot = {
    "light.lamp": {"state": "off", "brightness": None, "friendly_name": "Lamp"},
    "lock.door": {"state": "locked"},
    "cover.garage": {"state": "closed", "device_class": "garage", "is_closed": True},
}
ON = AssistCase(
    "home", "light", "Lamp on", expect={"light.lamp": Expected("on", {"brightness": 128})}
)
CHAT = AssistCase("home", "chat", "Hello")
NAMES = names_of(
    [{"name": "Kitchen Lamp", "aliases": ["light.lamp", "spot"]}],
    [{"name": "Kitchen", "aliases": []}],
    [{"name": "First Floor", "aliases": ["upstairs"]}],
)


def after(**changes: Any) -> dict[str, dict[str, Any]]:
    """Return the home with these changes: DOMAIN__NAME={...}."""
    states = {entity_id: dict(state) for entity_id, state in BEFORE.items()}
    for name, change in changes.items():
        states[name.replace("__", ".")].update(change)
    return states


LIT = {"state": "on", "brightness": 128}


def test_case_passes_that_does_what_was_meant() -> None:
    """The end state is the initial one with the expected changes; texts may be numbers."""
    assert judge(ON, BEFORE, after(light__lamp=LIT), "Done") == []
    assert judge(ON, BEFORE, after(light__lamp={**LIT, "brightness": "128"}), "Done") == []


@pytest.mark.parametrize(
    ("changes", "reply", "reason"),
    [
        ({}, "Done", "light.lamp: state is 'off', not 'on'"),
        ({"light__lamp": {**LIT, "brightness": 255}}, "Done", "brightness is 255, not 128"),
        ({"light__lamp": {**LIT, "effect": "x"}}, "Done", "light.lamp: effect is 'x', not None"),
        (
            {"light__lamp": LIT, "lock__door": {"state": "unlocked"}},
            "Done",
            "lock.door: state is 'unlocked', not 'locked'",
        ),
        ({"light__lamp": LIT}, "Sorry, no", "the reply says Sorry"),
    ],
)
def test_case_fails_that_does_less_or_more(
    changes: dict[str, Any], reply: str, reason: str
) -> None:
    """Missing changes count, and so do unexpected ones."""
    assert any(reason in one for one in judge(ON, BEFORE, after(**changes), reply))


def test_what_is_ignored_may_change() -> None:
    """So may attributes that follow from the state, and other formats of a colour."""
    case = AssistCase(
        "home",
        "cover",
        "Open the garage",
        expect={"cover.garage": Expected("open"), "light.lamp": Expected("on")},
        ignore={"cover.garage": ["current_position"], "light.lamp": ["brightness"]},
    )
    changes = {
        "cover__garage": {"state": "open", "current_position": 100, "is_closed": False},
        "light__lamp": {**LIT, "hs_color": [1, 2]},
    }

    assert judge(case, BEFORE, after(**changes), "") == []
    assert judge(case, BEFORE, after(**changes, lock__door={"state": "open"}), "") != []


def test_declared_colour_counts() -> None:
    """The colour of an unrelated entity counts, too."""
    case = AssistCase(
        "home", "light", "Red", expect={"light.lamp": Expected("on", {"rgb_color": [255, 0, 0]})}
    )

    assert (
        judge(case, BEFORE, after(light__lamp={"state": "on", "rgb_color": [255, 0, 0]}), "") == []
    )
    assert judge(case, BEFORE, after(light__lamp={"state": "on", "rgb_color": [0, 0, 9]}), "") != []
    assert judge(CHAT, BEFORE, after(light__lamp={"rgb_color": [0, 0, 9]}), "") != []


def test_player_that_is_off_is_not_muted() -> None:
    """It has no such attribute."""
    before = {"media_player.tv": {"state": "playing", "is_volume_muted": False}}
    case = AssistCase("home", "tv", "TV off", expect={"media_player.tv": Expected("off")})

    assert judge(case, before, {"media_player.tv": {"state": "off"}}, "") == []
    muted = {"media_player.tv": {"state": "off", "is_volume_muted": True}}
    assert judge(case, before, muted, "") != []


def test_chat_changes_nothing() -> None:
    """An agent may say that it does not understand; an expected word must be there."""
    assert judge(CHAT, BEFORE, after(), "Sorry, I do not know") == []
    assert judge(CHAT, BEFORE, after(light__lamp=LIT), "Hello") != []
    question = AssistCase("home", "question", "Is it locked?", replies=("locked", "yes"))
    assert judge(question, BEFORE, after(), "Yes.") == []
    assert judge(question, BEFORE, after(), "It is open.") != []


def test_mistakes_with_locks_and_doors_are_told() -> None:
    """A case about the lock may move it, one about the lamp may not."""
    states = after(
        light__lamp=LIT, lock__door={"state": "unlocked"}, cover__garage={"state": "open"}
    )
    unlock = AssistCase("home", "lock", "Unlock", expect={"lock.door": Expected("unlocked")})

    assert moved(BEFORE, states) == list(BEFORE)
    assert moved_by_mistake(ON, BEFORE, states) == ["lock.door", "cover.garage"]
    assert moved_by_mistake(unlock, BEFORE, states) == ["cover.garage"]
    assert moved_by_mistake(ON, BEFORE, after(light__lamp=LIT)) == []
    assert is_guarded("valve.water", {})
    assert is_guarded("alarm_control_panel.home", {})
    assert not is_guarded("cover.blind", {"device_class": "blind"})


def test_state_is_flat() -> None:
    """Attributes are beside the state."""
    assert flat({"state": "on", "attributes": {"a": 1}}) == {"state": "on", "a": 1}


@pytest.mark.parametrize(
    ("call", "wrong"),
    [
        (AgentCall("intent__HassTurnOn", {"name": " kitchen LAMP", "area": "kitchen"}), []),
        (AgentCall("intent__HassTurnOn", {"name": "Spot", "floor": "Upstairs"}), []),
        (AgentCall("intent__HassTurnOn", {"domain": ["light"]}), []),
        (AgentCall("intent__HassStartTimer", {"name": "pizza"}), []),
        (
            AgentCall("intent__HassTurnOn", {"name": "Oven"}),
            ["intent__HassTurnOn: there is no exposed entity Oven"],
        ),
        (
            AgentCall("intent__HassTurnOn", {"area": ["Kitchen", "Attic"]}),
            ["intent__HassTurnOn: there is no area Attic"],
        ),
        (
            AgentCall(
                "turn_on", {"name": "Oven"}, error='HomeAssistantError: Tool "turn_on" not found'
            ),
            ["there is no tool turn_on"],
        ),
    ],
)
def test_calls_are_checked_against_the_home(call: AgentCall, wrong: list[str]) -> None:
    """Tools, entities, areas and floors must exist, by name or alias."""
    assert wrong_with(call, NAMES) == wrong


def test_calls_are_read_from_a_chat_log() -> None:
    """With Home Assistant's result of each."""
    calls = [
        {"id": "1", "tool_name": "intent__HassTurnOn", "tool_args": {"name": "Oven"}},
        {
            "id": "2",
            "tool_name": "homeassistant__GetLiveContext",
            "tool_args": {},
            "external": True,
        },
    ]
    failed = {"error": "MatchFailedError", "error_text": "no"}
    content: list[dict[str, Any]] = [
        {"role": "user", "content": "Oven on"},
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool_result", "tool_call_id": "1", "result": {"data": failed, "error": True}},
        {"role": "assistant", "content": "I could not."},
    ]

    found = calls_of(content, NAMES)

    assert [(one.tool, one.external, one.error, len(one.wrong), one.acts) for one in found] == [
        ("intent__HassTurnOn", False, "MatchFailedError: no", 1, True),
        ("homeassistant__GetLiveContext", True, None, 0, False),
    ]


def test_one_entity_of_each_domain_is_left() -> None:
    """The prompt is measured without the others."""
    assert second_ones(["light.b", "lock.a", "light.a", "light.c"]) == ["light.b", "light.c"]


def test_table_and_document_count_the_same() -> None:
    """Chat has its own row, and each agent a column."""
    right = AgentCall("intent__HassTurnOn", {"name": "spot"})
    wrong = AgentCall("intent__HassTurnOn", {"name": "x"}, wrong=("there is no x",))
    outcomes = [
        CaseOutcome(ON, "Done", moved=["light.lamp"], calls=[right], prompt_tokens=(90, 100)),
        CaseOutcome(ON, "Hm?", ["it is off"], after_yes=AfterYes("Done", (), ["light.lamp"])),
        CaseOutcome(
            ON, "No", ["it is off"], faults=[Fault.CLAIM], by_mistake=["lock.door"], calls=[wrong]
        ),
        CaseOutcome(CHAT, "Hello"),
        CaseOutcome(CHAT, "Done", ["it is on"], ["light.lamp"]),
        CaseOutcome(CHAT, "It was on", calls=[right]),
    ]
    ours = Column("ours", outcomes, PromptSize("home", 130, 100, 4))
    builtin = Column("builtin", [CaseOutcome(one.case) for one in outcomes])

    lines = table([ours, builtin]).splitlines()
    cells = {name: row for name, *row in (re.split(r"\s{2,}", line) for line in lines)}

    assert cells["light"] == ["1 of 3", "3 of 3"]
    assert cells["commands"] == ["1 of 3", "3 of 3"]
    assert cells["commands, right after a yes"] == ["1 of 3", "0 of 3"]
    assert cells["commands, right"] == ["1 of 3", "3 of 3"]
    assert cells["nothing to be done: no action"] == ["1 of 3", "3 of 3"]
    assert cells["all"] == ["3 of 6", "6 of 6"]
    assert cells["commands lost (nothing done)"] == ["1 of 3", "0 of 3"]
    assert cells["moved by mistake: lock, door, valve"] == ["1", "0"]
    assert cells["replies: claims what was not done"] == ["1", "0"]
    assert cells["replies: in another language"] == ["0", "0"]
    assert cells["calls that name what is there"] == ["2 of 3 (67%)", "no calls"]
    assert cells["prompt, tokens (median, longest)"] == ["100, 100", "-"]
    assert cells["prompt, tokens per entity"] == ["7.5", "-"]
    agent = document("set", [ours, builtin], model="own")["agents"]["ours"]
    assert (agent["passed"], agent["cases"], agent["commands_lost"]) == (3, 6, 1)
    assert (agent["talk_without_action"], agent["talk_passed"]) == (1, 2)
    assert agent["moved_by_mistake"] == 1
    assert agent["faults"] == {"CLAIM": 1, "LANGUAGE": 0, "FACT": 0}
    assert agent["cases_in_detail"][2]["faults"] == ["claims what was not done"]
    assert agent["commands_passed_after_yes"] == 1
    assert agent["commands_right"] == 1
    assert agent["cases_in_detail"][1]["after_yes"]["reply"] == "Done"
    assert agent["cases_in_detail"][0]["after_yes"] is None
    passed = [one["passed"] for one in agent["cases_in_detail"]]
    assert passed == [True, False, False, True, False, True]
    assert agent["cases_in_detail"][2]["why_not"] == ["it is off"]
