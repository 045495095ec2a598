"""Valid calls in the demo home, with Home Assistant's tools."""

import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.core import Context
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import llm
from homeassistant.setup import async_setup_component
from hypothesis import given, settings
from hypothesis import strategies as st

from custom_components.llamacpp.home.exposed import exposed_home
from custom_components.llamacpp.home.things import ExposedEntity, Home
from custom_components.llamacpp.tool_calls.invalid_call import InvalidCallError
from custom_components.llamacpp.tool_calls.names import MAX_CHARS, MAX_LISTED, MAX_NEAREST
from custom_components.llamacpp.tool_calls.tools import to_tools
from custom_components.llamacpp.tool_calls.validator import ToolCallValidator
from tests.integration.entities import rename

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

ON, OFF = "intent__HassTurnOn", "intent__HassTurnOff"
LIVE = "homeassistant__GetLiveContext"
SCRIPT = {
    "water": {
        "alias": "Water",
        "description": "Waters a place",
        "fields": {
            "where": {"description": "Where", "selector": {"area": {}}},
            "levels": {"description": "Floors", "selector": {"floor": {"multiple": True}}},
            "valve": {"description": "Which", "selector": {"entity": {}}},
            "name": {"description": "Of the plant", "selector": {"text": {}}},
        },
        "sequence": [],
    }
}


async def possible_in(hass: HomeAssistant) -> ToolCallValidator:
    """Return the validator of a home with Assist's tools."""
    context = llm.LLMContext("llamacpp", Context(), "en", "conversation", None)
    tools = to_tools(await llm.async_get_api(hass, "assist", context))
    return ToolCallValidator(tools, lambda: exposed_home(hass, "conversation", without=()))


# A model's call, and the corrected one.
CALLS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    # Names of entities
    (ON, {"name": "Kitchen Light"}, {"name": "Kitchen Light"}),
    (ON, {"name": "kitchen light "}, {"name": "Kitchen Light"}),
    (ON, {"name": "kitchen_light"}, {"name": "Kitchen Light"}),
    (ON, {"name": "light.kitchen_light"}, {"name": "Kitchen Light"}),
    (ON, {"name": "light.floor-lamp"}, {"name": "Floor Lamp"}),
    (ON, {"name": "coffee machine"}, {"name": "Coffee Maker"}),
    (ON, {"name": "Coffee Maker, coffee machine"}, {"name": "Coffee Maker"}),
    (ON, {"name": "Kitchen Lights"}, {"name": "Kitchen Light"}),
    (ON, {"name": "Kichen Light"}, {"name": "Kitchen Light"}),
    (ON, {"name": ["Floor Lamp"]}, {"name": "Floor Lamp"}),
    (ON, {"entity_id": "light.floor_lamp"}, {"name": "Floor Lamp"}),
    (ON, {"device": ["Floor Lamp"]}, {"name": "Floor Lamp"}),
    (ON, {"name": "all", "domain": ["light"]}, {"name": "all", "domain": ["light"]}),
    (ON, {"name": "lock.side_door"}, {"name": "Side Door"}),
    # Names of tools
    ("HassTurnOn", {"name": "Floor Lamp"}, {"name": "Floor Lamp"}),
    ("home__HassTurnOn", {"name": "Floor Lamp"}, {"name": "Floor Lamp"}),
    # Places
    (
        ON,
        {"area": "living room", "domain": "light"},
        {"area": "Living Room", "domain": ["light"]},
    ),
    (ON, {"area": "livingroom", "domain": "light"}, {"area": "Living Room", "domain": ["light"]}),
    (ON, {"name": "lamp, floor"}, {"name": "Floor Lamp"}),
    (ON, {"area": "lounge", "domain": "lights"}, {"area": "Living Room", "domain": ["light"]}),
    (
        ON,
        {"area": "upstairs", "domain": "light"},
        {"floor": "Upper Floor", "domain": ["light"]},
    ),
    (ON, {"floor": "Kitchen", "domain": "light"}, {"area": "Kitchen", "domain": ["light"]}),
    (ON, {"name": "Kitchen", "domain": "light"}, {"area": "Kitchen", "domain": ["light"]}),
    (
        ON,
        {"name": "kitchen", "area": "Kitchen", "domain": "light"},
        {"area": "Kitchen", "domain": ["light"]},
    ),
    # Domains
    (
        ON,
        {"name": "Coffee Maker", "domain": "light"},
        {"name": "Coffee Maker", "domain": ["switch"]},
    ),
    (
        OFF,
        {"name": "Side Door", "domain": ["light"]},
        {"name": "Side Door", "domain": ["light"]},
    ),
    (LIVE, {"domain": "lights"}, {"domain": "light"}),
    (LIVE, {"domain": ["Light"], "area": "yard"}, {"domain": ["light"], "area": "Garden"}),
    # Empty values
    (
        ON,
        {"name": "Floor Lamp", "area": "", "floor": "None", "domain": []},
        {"name": "Floor Lamp"},
    ),
    (ON, {"name": "Floor Lamp", "area": None, "color": ""}, {"name": "Floor Lamp"}),
    # Values
    (
        "light__HassLightSet",
        {"name": "Floor Lamp", "brightness": "50%"},
        {"name": "Floor Lamp", "brightness": 50},
    ),
    (
        "todo__HassListAddItem",
        {"item": 5, "name": "groceries"},
        {"item": "5", "name": "Shopping List"},
    ),
    ("todo__get_items", {"todo_list": "shopping list"}, {"todo_list": "Shopping List"}),
    # Values that have their own names
    ("assist_satellite__HassBroadcast", {"message": "Moon"}, {"message": "Moon"}),
    ("llm__GetDateTime", {"timezone": None}, {}),
]
# A model's call, and its error.
IMPOSSIBLE: list[tuple[str, dict[str, Any], str]] = [
    ("fly", {}, "There is no tool 'fly' for this. There is: "),
    ("HassTurnUp", {}, "There is: intent__HassTurnOn, "),
    ("set_brightness_of_light", {}, "light__HassLightSet"),
    (ON, {"name": "Moon"}, "There is no entity 'Moon' for this. There is: "),
    (ON, {"name": "Bathroom Lamp"}, "There is: Bathroom Light, "),
    (ON, {"name": "light.moon"}, "'light.moon'"),
    (ON, {"area": "Attic", "domain": "light"}, "There is no area 'Attic' for this. There is: "),
    (ON, {"floor": "Attic"}, "There is: Ground Floor, Upper Floor."),
    (ON, {"name": "Kitchen"}, "There is no entity 'Kitchen'"),
    (ON, {"domain": "starship"}, "There is no domain 'starship'"),
    (ON, {"name": "Floor Lamp", "brightness": 50}, "It takes: name, area, floor, domain"),
    (ON, {"name": "Floor Lamp", "brightness": 50}, "Of others there is: light__HassLightSet."),
    (ON, {"name": "Floor Lamp", "device_class": ["spoon"]}, "There is no 'device_class'"),
    (ON, {"name": ["Floor Lamp", "TV Light"]}, "name must be one name. Make a call for each."),
    (ON, {"area": {"name": "Kitchen"}}, "area must be one name"),
    ("light__HassLightSet", {"name": "Coffee Maker"}, "There is: "),
    ("light__HassLightSet", {"name": "Floor Lamp", "domain": ["fan"]}, "There is: light."),
    ("HassSetVolume", {"name": "TV"}, "media_player__HassSetVolume needs volume_level."),
    ("HassListAddItem", {"item": "Milk"}, "needs name. There is: Shopping List."),
    ("get_items", {}, "needs todo_list. There is: Shopping List, groceries."),
    ("HassListAddItem", {"item": "Milk", "name": "Floor Lamp"}, "There is: Shopping List."),
    (LIVE, {"name": "Moon"}, "There is no entity 'Moon'"),
    # It might be the wrong entity, and it is no lamp.
    (
        OFF,
        {"name": "Side Doors"},
        "There is no entity 'Side Doors' for this. There is: Side Door.",
    ),
]


async def test_calls(home: HomeAssistant) -> None:
    """A clear call gets the names that Home Assistant knows."""
    possible = await possible_in(home)
    found = [possible.corrected(name, called) for name, called, _ in CALLS]
    assert [arguments for _, arguments in found] == [expected for *_, expected in CALLS]
    assert {tool for tool, _ in found} <= set(possible.tools)


async def test_impossible_calls(home: HomeAssistant) -> None:
    """The error lists valid names, nearest first, and has a maximum length."""
    possible = await possible_in(home)
    for name, wrong, told in IMPOSSIBLE:
        with pytest.raises(InvalidCallError) as caught:
            possible.corrected(name, wrong)
        assert told in str(caught.value)
        assert "nothing" not in str(caught.value)


async def test_every_possible_call_names_what_exists(home: HomeAssistant) -> None:
    """Whatever a model invents: tools, entities, areas and floors are those of the home."""
    possible = await possible_in(home)
    known = exposed_home(home, "conversation", without=())
    names = {name for one in known.things for name in (one.name, one.entity_id)} | {"all"}
    places = [*known.areas.values(), *known.floors.values()]
    written = st.sampled_from(
        [
            *(name for one in known.things for name in (*one.names, one.entity_id)),
            *(name for one in places for name in one.names),
            *("Moon", "all", "none", "", "lamp", "light", "kitchn light", "light.moon", "lights"),
        ]
    )
    values = st.one_of(written, written.map(str.upper), st.lists(written, max_size=2), st.none())
    keys = st.sampled_from(["name", "area", "floor", "domain", "entity_id", "item", "color"])
    n_possible = 0

    @given(
        tool=st.sampled_from([*possible.tools, "HassTurnOn", "fly"]),
        arguments=st.dictionaries(keys, values, max_size=4),
    )
    @settings(max_examples=500, deadline=None, database=None, derandomize=True)
    def check(tool: str, arguments: dict[str, Any]) -> None:
        nonlocal n_possible
        with contextlib.suppress(InvalidCallError):
            tool, corrected = possible.corrected(tool, arguments)
            n_possible += 1
            assert tool in possible.tools
            assert corrected.get("name", "all") in names
            assert corrected.get("area") in (None, *(one.name for one in known.areas.values()))
            assert corrected.get("floor") in (None, *(one.name for one in known.floors.values()))

    check()
    assert n_possible > 50


async def test_timers_have_names_of_their_own(home: HomeAssistant) -> None:
    """A timer's name is free, its area is one of the home; it needs a duration."""
    context = llm.LLMContext("llamacpp", Context(), "en", "conversation", None)
    tool = {
        "type": "function",
        "function": {
            "name": "intent__HassStartTimer",
            "parameters": {
                "type": "object",
                "properties": {
                    "hours": {"type": "integer"},
                    "minutes": {"type": "integer"},
                    "name": {"type": "string"},
                    "area": {"type": "string"},
                },
                "additionalProperties": False,
                "anyOf": [{"required": ["hours"]}, {"required": ["minutes"]}],
            },
        },
    }
    assert context.assistant
    possible = ToolCallValidator([tool], lambda: exposed_home(home, "conversation"))
    assert possible.corrected(
        "HassStartTimer", {"minutes": "5", "name": "Eggs", "area": "yard"}
    ) == (
        "intent__HassStartTimer",
        {"minutes": 5, "name": "Eggs", "area": "Garden"},
    )
    with pytest.raises(InvalidCallError, match="needs one of hours, minutes"):
        possible.corrected("HassStartTimer", {"name": "Eggs"})
    with pytest.raises(InvalidCallError, match="no area 'Mars'"):
        possible.corrected("HassStartTimer", {"minutes": 5, "area": "Mars"})


async def test_fields_of_scripts(home: HomeAssistant) -> None:
    """Values of selectors must exist; texts are free."""
    assert await async_setup_component(home, "script", {"script": SCRIPT})
    async_expose_entity(home, "conversation", "script.water", should_expose=True)
    await home.async_block_till_done()
    possible = await possible_in(home)
    _, arguments = possible.corrected(
        "water",
        {"where": "yard", "levels": "upstairs", "valve": "Irrigation", "name": "Moon flower"},
    )
    assert arguments == {
        "where": "Garden",
        "levels": ["Upper Floor"],
        "valve": "valve.irrigation",
        "name": "Moon flower",
    }
    assert possible.corrected(ON, {"name": "water"})[1] == {"name": "Water"}
    for wrong in ({"where": "Mars"}, {"levels": ["Mars"]}, {"valve": "valve.mars"}):
        with pytest.raises(InvalidCallError):
            possible.corrected("water", wrong)


async def test_names_that_several_have(home: HomeAssistant) -> None:
    """Home Assistant chooses by area; an id is unique."""
    for entity_id in ("light.floor_lamp", "light.bedside_lamp"):
        rename(home, entity_id, "Lamp")
    await home.async_block_till_done()
    possible = await possible_in(home)
    assert possible.corrected(ON, {"name": "lamp"})[1] == {"name": "Lamp"}
    by_id = {"name": "light.floor_lamp"}
    assert possible.corrected(ON, by_id)[1] == by_id


async def test_numbers_are_never_alike(home: HomeAssistant) -> None:
    """However similar they are, and wherever the spaces are."""
    rename(home, "light.floor_lamp", "Lamp 11 2")
    rename(home, "light.bedside_lamp", "Lamp 2")
    await home.async_block_till_done()
    possible = await possible_in(home)
    for written in ("Lamp 1 12", "Lamp 3", "Lamp 22", "Lamp"):
        with pytest.raises(InvalidCallError):
            possible.corrected(ON, {"name": written})
    assert possible.corrected(ON, {"name": "lamps 2"})[1] == {"name": "Lamp 2"}


async def test_names_that_are_like_several(home: HomeAssistant) -> None:
    """An ambiguous name is not guessed."""
    rename(home, "light.floor_lamp", "Lantern")
    rename(home, "light.bedside_lamp", "Lanterns")
    ar.async_get(home).async_create("Gardens")
    await home.async_block_till_done()
    possible = await possible_in(home)
    assert possible.corrected(ON, {"name": "lanterns"})[1] == {"name": "Lanterns"}
    assert possible.corrected(ON, {"area": "garden"})[1] == {"area": "Garden"}
    with pytest.raises(InvalidCallError, match="There is: Lantern, Lanterns"):
        possible.corrected(ON, {"name": "Lanternx"})
    with pytest.raises(InvalidCallError, match="There is: Garden, Gardens"):
        possible.corrected(ON, {"area": "Gardenx"})


def test_what_is_told_has_a_bound() -> None:
    """The error stays short, with many long names, too."""
    things = tuple(ExposedEntity(f"light.l{n}", (f"{n} " + "very " * 100,)) for n in range(500))
    parameters = {"properties": {"name": {"type": "string"}}, "additionalProperties": False}
    tool = {"type": "function", "function": {"name": ON, "parameters": parameters}}
    possible = ToolCallValidator([tool], lambda: Home(things))
    with pytest.raises(InvalidCallError, match="and 495 more") as caught:
        possible.corrected(ON, {"name": "Moon " * 100})
    assert len(str(caught.value)) < (MAX_NEAREST + 4) * MAX_CHARS
    with pytest.raises(InvalidCallError, match="and 488 more") as caught:
        possible.corrected(ON, {f"argument {n}" * 10: n for n in range(500)})
    assert len(str(caught.value)) < (MAX_LISTED + 4) * MAX_CHARS


def test_without_a_home_all_names_are_taken() -> None:
    """Only tools and types are checked then."""
    parameters = {"properties": {"name": {"type": "string"}}}
    possible = ToolCallValidator(
        [{"type": "function", "function": {"name": ON, "parameters": parameters}}]
    )
    assert possible.corrected("HassTurnOn", {"name": 5}) == (ON, {"name": "5"})
