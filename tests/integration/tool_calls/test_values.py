"""Values of calls in the demo home: units, fractions, ranges, targets, results."""

import json
from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.const import UnitOfTemperature
from homeassistant.core import Context
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import llm
from homeassistant.setup import async_setup_component
from homeassistant.util.unit_system import US_CUSTOMARY_SYSTEM
from hypothesis import given, settings
from hypothesis import strategies as st

from custom_components.llamacpp.home.exposed import exposed_home
from custom_components.llamacpp.tool_calls.invalid_call import InvalidCallError
from custom_components.llamacpp.tool_calls.limits import Limits
from custom_components.llamacpp.tool_calls.results import MAX_RESULT
from custom_components.llamacpp.tool_calls.tools import to_tools
from custom_components.llamacpp.tool_calls.validator import ToolCallValidator
from tests.integration.conftest import TASK_AGENT
from tests.integration.home_scripts import ROWS, SCRIPTS
from tests.integration.talk import add_native, ask, contents, llama_peer, piece, speech, state_of

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from tests.integration.conftest import AddServer
    from tests.integration.peers import Peers

SET, VOLUME, STEP = (
    "light__HassLightSet",
    "media_player__HassSetVolume",
    "media_player__HassSetVolumeRelative",
)
FAN, POSITION = "fan__HassFanSetSpeed", "intent__HassSetPosition"
CLIMATE = "climate__HassClimateSetTemperature"


@pytest.fixture
async def scripts(home: HomeAssistant) -> HomeAssistant:
    """Return the demo home with scripts whose fields have many types."""
    assert await async_setup_component(home, "script", {"script": SCRIPTS})
    for name in SCRIPTS:
        async_expose_entity(home, "conversation", f"script.{name}", should_expose=True)
    await home.async_block_till_done()
    return home


async def possible_in(hass: HomeAssistant) -> ToolCallValidator:
    """Return the validator of a home with Assist's tools."""
    context = llm.LLMContext("llamacpp", Context(), "en", "conversation", None)
    tools = to_tools(await llm.async_get_api(hass, "assist", context))
    return ToolCallValidator(
        tools, lambda: exposed_home(hass, "conversation", without=()), Limits(hass)
    )


def call(name: str, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the chunks of an answer with one call."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    return [
        piece(tool_calls=[{"index": 0, "id": "c1", "function": function}]),
        piece("tool_calls"),
    ]


SAID = [piece(content="Well."), piece("stop")]

# A model's call, and the value after the correction.
VALUES: list[tuple[str, dict[str, Any], str, Any]] = [
    (SET, {"name": "Floor Lamp", "brightness": 0.5}, "brightness", 50),
    (SET, {"name": "Floor Lamp", "brightness": "0.5"}, "brightness", 50),
    (SET, {"name": "Floor Lamp", "brightness": "0,5"}, "brightness", 50),
    (SET, {"name": "Floor Lamp", "brightness": 0.333}, "brightness", 33),
    (SET, {"name": "Floor Lamp", "brightness": 33.4}, "brightness", 33),
    (SET, {"name": "Floor Lamp", "brightness": 0}, "brightness", 0),
    (SET, {"name": "Floor Lamp", "brightness": 1}, "brightness", 1),
    (SET, {"name": "Floor Lamp", "brightness": "50 per cent"}, "brightness", 50),
    (SET, {"name": "Floor Lamp", "temperature": "2700K"}, "temperature", 2700),
    (SET, {"name": "Floor Lamp", "temperature": "2,700 K"}, "temperature", 2700),
    (SET, {"name": "Floor Lamp", "temperature": "2700 Kelvin"}, "temperature", 2700),
    (VOLUME, {"name": "TV", "volume_level": 0.2}, "volume_level", 20),
    (STEP, {"name": "TV", "volume_step": -0.1}, "volume_step", -10),
    (STEP, {"name": "TV", "volume_step": "+10%"}, "volume_step", 10),
    (STEP, {"name": "TV", "volume_step": "Up"}, "volume_step", "up"),
    (POSITION, {"name": "Garage Door", "position": 0.3}, "position", 30),
    (CLIMATE, {"name": "Thermostat", "temperature": "21,5 °C"}, "temperature", 21.5),
    (CLIMATE, {"name": "heating", "temperature": "21.5 degrees Celsius"}, "temperature", 21.5),
    (CLIMATE, {"name": "Thermostat", "temperature": "21º"}, "temperature", 21),
    (CLIMATE, {"name": "Thermostat", "temperature": "70 °F"}, "temperature", 21.1),
    (CLIMATE, {"area": "lounge", "temperature": 5}, "temperature", 5),
    ("announce", {"message": "x", "volume": "30 %"}, "volume", 30),
    ("house_mode", {"mode": "Nobody there"}, "mode", "away"),
    ("house_mode", {"mode": "at home"}, "mode", "home"),
    ("house_mode", {"mode": "home", "rooms": "kitchen"}, "rooms", ["r1"]),
    ("house_mode", {"mode": "home", "at": "18:05:00.000Z"}, "at", "18:05:00"),
    ("house_mode", {"mode": "home", "at": "18:05"}, "at", "18:05"),
]
# A model's call, and its error.
OUT_OF_RANGE: list[tuple[str, dict[str, Any], str]] = [
    (
        SET,
        {"name": "Floor Lamp", "brightness": 300},
        "'brightness' must be a whole number from 0 to 100, not 300",
    ),
    (SET, {"name": "Floor Lamp", "brightness": "300 %"}, "from 0 to 100"),
    (
        SET,
        {"name": "Floor Lamp", "brightness": "0.5 %"},
        "a whole number from 0 to 100, not '0.5 %'",
    ),
    (SET, {"name": "Floor Lamp", "brightness": "half"}, "not 'half'"),
    (SET, {"name": "Floor Lamp", "temperature": -5}, "a whole number, 0 at least"),
    (VOLUME, {"name": "TV", "volume_level": -1}, "from 0 to 100"),
    (STEP, {"name": "TV", "volume_step": 150}, "down, up or a whole number from -100 to 100"),
    (
        CLIMATE,
        {"name": "Thermostat", "temperature": 210},
        "'temperature' must be a number from 5 to 30, not 210",
    ),
    (CLIMATE, {"temperature": 4}, "from 5 to 30"),
    (CLIMATE, {"area": "Living Room", "temperature": "31 °C"}, "from 5 to 30"),
    (CLIMATE, {"name": "Thermostat", "temperature": "warm"}, "a number from 5 to 30"),
    ("announce", {"message": "x", "volume": 400}, "a number from 0 to 100, not 400"),
]


async def test_values(scripts: HomeAssistant) -> None:
    """A clear value gets the type and unit of Home Assistant."""
    possible = await possible_in(scripts)
    found = [possible.corrected(name, called)[1][key] for name, called, key, _ in VALUES]
    assert found == [expected for *_, expected in VALUES]


async def test_values_out_of_range(scripts: HomeAssistant) -> None:
    """The error has the range."""
    possible = await possible_in(scripts)
    for name, called, told in OUT_OF_RANGE:
        with pytest.raises(InvalidCallError) as caught:
            possible.corrected(name, called)
        assert told in str(caught.value)


async def test_every_percentage(home: HomeAssistant) -> None:
    """A percentage stays, a fraction is multiplied by 100, a larger number is rejected."""
    possible = await possible_in(home)
    forms = ["{}", "{}%", "{} %", "{}\u202f%", "{} percent", "{}.0"]
    fields = [(SET, "brightness"), (VOLUME, "volume_level"), (FAN, "percentage")]

    @given(n=st.integers(-300, 300), form=st.sampled_from(forms), field=st.sampled_from(fields))
    @settings(max_examples=400, deadline=None, database=None, derandomize=True)
    def check(n: int, form: str, field: tuple[str, str]) -> None:
        tool, key = field
        for value in (form.format(n), n, float(n)):
            if 0 <= n <= 100:
                assert possible.corrected(tool, {key: value})[1][key] == n
            else:
                with pytest.raises(InvalidCallError, match="from 0 to 100"):
                    possible.corrected(tool, {key: value})

    @given(n=st.integers(1, 99), field=st.sampled_from(fields))
    @settings(max_examples=200, deadline=None, database=None, derandomize=True)
    def check_fraction(n: int, field: tuple[str, str]) -> None:
        tool, key = field
        for value in (n / 100, str(n / 100), str(n / 100).replace(".", ",")):
            assert possible.corrected(tool, {key: value})[1][key] == n

    check()
    check_fraction()


async def test_every_temperature(home: HomeAssistant) -> None:
    """A value is taken in either unit if it is in the thermostat's range."""
    possible = await possible_in(home)
    units = ["", "°", " °", "°C", " °C", "C", " C", "℃", " degrees", " degrees Celsius", " celsius"]

    @given(half=st.integers(-50, 100), unit=st.sampled_from(units), comma=st.booleans())
    @settings(max_examples=500, deadline=None, database=None, derandomize=True)
    def check(half: int, unit: str, *, comma: bool) -> None:
        degrees = half / 2
        written = f"{degrees}{unit}"
        arguments = {
            "name": "Thermostat",
            "temperature": written.replace(".", ",") if comma else written,
        }
        if 5 <= degrees <= 30:
            assert possible.corrected(CLIMATE, arguments)[1]["temperature"] == degrees
        else:
            with pytest.raises(InvalidCallError, match="from 5 to 30"):
                possible.corrected(CLIMATE, arguments)

    check()
    for fahrenheit, celsius in ((50, 10), (68, 20), (77, 25)):
        for unit in ("°F", "F", " degrees Fahrenheit"):
            arguments = {"temperature": f"{fahrenheit}{unit}"}
            assert possible.corrected(CLIMATE, arguments)[1]["temperature"] == celsius


async def test_a_home_in_fahrenheit(home: HomeAssistant) -> None:
    """The other unit is Celsius there."""
    home.config.units = US_CUSTOMARY_SYSTEM
    assert home.config.units.temperature_unit == UnitOfTemperature.FAHRENHEIT
    tools = [
        {
            "type": "function",
            "function": {
                "name": CLIMATE,
                "parameters": {"properties": {"temperature": {"type": "number"}}},
            },
        }
    ]
    possible = ToolCallValidator(tools, None, Limits(home))
    for written, expected in (("70 °F", 70), ("20 °C", 68), ("70", 70), (70, 70)):
        assert possible.corrected(CLIMATE, {"temperature": written})[1]["temperature"] == expected


TARGETS: list[tuple[Any, dict[str, Any]]] = [
    ({"entity_id": "Floor Lamp"}, {"entity_id": ["light.floor_lamp"]}),
    (
        {"entity_id": ["light.floor_lamp", "tv light"]},
        {"entity_id": ["light.floor_lamp", "light.tv_light"]},
    ),
    ("Floor Lamp", {"entity_id": ["light.floor_lamp"]}),
    (["Floor Lamp", "floor_lamp"], {"entity_id": ["light.floor_lamp"]}),
    ('{"entity_id": "Floor Lamp"}', {"entity_id": ["light.floor_lamp"]}),
    ({"area_id": "Kitchen"}, {"area_id": ["kitchen"]}),
    ({"area_id": ["lounge", "yard"]}, {"area_id": ["living_room", "garden"]}),
    ({"floor_id": "upstairs"}, {"floor_id": ["upper_floor"]}),
    ({"entity_id": "Kitchen"}, {"area_id": ["kitchen"]}),
    ({"area_id": "Upper Floor"}, {"floor_id": ["upper_floor"]}),
    ({"device_id": "sensor.side_door_battery"}, {"entity_id": ["sensor.side_door_battery"]}),
    (
        {"area_id": "Kitchen", "entity_id": "TV Light"},
        {"area_id": ["kitchen"], "entity_id": ["light.tv_light"]},
    ),
]


async def test_targets(scripts: HomeAssistant) -> None:
    """Names in a target become ids, also in the field of another kind."""
    possible = await possible_in(scripts)
    for written, expected in TARGETS:
        assert possible.corrected("flash", {"what": written})[1]["what"] == expected
    home = exposed_home(scripts, "conversation", without=())
    thermostat = next(one for one in home.things if one.entity_id == "climate.thermostat").device
    assert thermostat is not None
    for written in ("Thermostat", "thermostat", thermostat.id):
        arguments = {"device_id": written}
        found = possible.corrected("flash", {"what": arguments})[1]["what"]
        assert found == {"device_id": [thermostat.id]}
        called = {"message": "x", "speaker": written}
        assert possible.corrected("announce", called)[1]["speaker"] == thermostat.id


@pytest.mark.parametrize("part", ["entity_id", "area_id", "floor_id", "device_id"])
async def test_targets_that_do_not_exist(scripts: HomeAssistant, part: str) -> None:
    """The error lists what there is; only exposed entities are reached."""
    for one in ("light.floor_lamp", "light.bedside_lamp"):
        async_expose_entity(scripts, "conversation", one, should_expose=False)
    for state in scripts.states.async_all():
        if state.name.startswith(("Garage", "Side Door")):
            async_expose_entity(scripts, "conversation", state.entity_id, should_expose=False)
    possible = await possible_in(scripts)
    wrong = ("Moon", "all", "light.floor_lamp", "Floor Lamp", "Garage", "{{ x }}", "lock.side_dor")
    for written in wrong:
        with pytest.raises(InvalidCallError, match="There is"):
            possible.corrected("flash", {"what": {part: written}})
    with pytest.raises(InvalidCallError, match="must be a list of names"):
        possible.corrected("flash", {"what": {part: {"is": "x"}}})


async def test_every_target_is_exposed(scripts: HomeAssistant) -> None:
    """For any names that a model invents."""
    async_expose_entity(scripts, "conversation", "light.floor_lamp", should_expose=False)
    possible = await possible_in(scripts)
    home = exposed_home(scripts, "conversation", without=())
    known: dict[str, set[str]] = {
        "entity_id": {one.entity_id for one in home.things},
        "area_id": {one.area for one in home.things if one.area},
        "floor_id": set(home.floors),
        "device_id": {one.device.id for one in home.things if one.device},
    }
    places = (*home.areas.values(), *home.floors.values())
    names = [name for one in places for name in one.names]
    names += [name for one in home.things for name in one.names]
    ids = [one for state in scripts.states.async_all() for one in (state.entity_id, state.name)]
    written = st.sampled_from([*names, *ids, "Moon", "all", "light", "kitchn light"])
    parts = st.sampled_from([*known])
    n_found = 0

    @given(st.dictionaries(parts, st.one_of(written, st.lists(written, max_size=2)), min_size=1))
    @settings(max_examples=500, deadline=None, database=None, derandomize=True)
    def check(target: dict[str, Any]) -> None:
        nonlocal n_found
        try:
            _, arguments = possible.corrected("flash", {"what": target})
        except InvalidCallError:
            return
        n_found += 1
        for part, found in arguments["what"].items():
            assert set(found) <= known[part]

    check()
    assert n_found > 50


async def test_fractions_and_units_end_to_end(
    scripts: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """The lamp is dimmed and not off, the thermostat is set, the volume is not 0."""
    url, _ = await llama_peer(
        peers,
        call(SET, {"name": "Floor Lamp", "brightness": 0.5}),
        call(CLIMATE, {"name": "Thermostat", "temperature": "21,5 °C"}),
        call("HassTurnOn", {"name": "Television"}),
        call(VOLUME, {"name": "TV", "volume_level": 0.2}),
        SAID,
    )
    await add_native(scripts, add_server, url)
    assert speech(await ask(scripts, "Please")) == "Well."
    assert state_of(scripts, "light.floor_lamp").attributes["brightness"] in (127, 128)
    assert state_of(scripts, "climate.thermostat").attributes["temperature"] == 21.5
    assert state_of(scripts, "media_player.television").attributes["volume_level"] == 0.2


async def test_a_value_out_of_range_comes_back_once(
    home: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """The model gets the range; a second wrong value ends the turn, and nothing was done."""
    wrong = call(CLIMATE, {"name": "Thermostat", "temperature": 210})
    right = call(CLIMATE, {"name": "Thermostat", "temperature": 21})
    url, requests = await llama_peer(peers, wrong, right, SAID, wrong, wrong, SAID)
    await add_native(home, add_server, url)
    assert speech(await ask(home, "Set it to 21.0 degrees")) == "Well."
    assert "from 5 to 30" in requests[1]["messages"][-1]["content"]
    assert state_of(home, "climate.thermostat").attributes["temperature"] == 21
    assert "I tried too many things" in speech(await ask(home, "Set it to 210 degrees"))
    assert len(requests) == 5
    assert state_of(home, "climate.thermostat").attributes["temperature"] == 21


async def test_a_huge_result_is_cut(
    scripts: HomeAssistant, add_server: AddServer, peers: Peers
) -> None:
    """The model gets its beginning with a note; the chat log has all of it."""
    url, requests = await llama_peer(peers, call("report", {}), SAID)
    await add_native(scripts, add_server, url)
    result = await ask(scripts, "energy report")
    told = requests[-1]["messages"][-1]["content"]
    assert told.startswith('{"result":{"rows":[0,1,2,')
    assert "Only the beginning of this result is here" in told
    assert len(told) < MAX_RESULT + 200
    kept = next(one for one in contents(scripts, result) if one.role == "tool_result")
    assert len(str(kept)) > ROWS * 5


@pytest.mark.parametrize(
    ("instructions", "key"), [("short", "home_too_large"), ("word " * 9000, "context_exceeded")]
)
async def test_what_is_too_large_for_the_context(
    home: HomeAssistant, add_server: AddServer, peers: Peers, instructions: str, key: str
) -> None:
    """To expose fewer entities is advised only if the home is the large part."""
    error = {
        "code": 400,
        "message": "too large",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 9000,
        "n_ctx": 4096,
    }
    url, _ = await llama_peer(peers, [{"error": error}], [{"error": error}])
    await add_server(url)
    with pytest.raises(HomeAssistantError) as caught:
        await home.services.async_call(
            "ai_task",
            "generate_data",
            {"entity_id": TASK_AGENT, "task_name": "x", "instructions": instructions},
            blocking=True,
            return_response=True,
        )
    assert caught.value.translation_key == key
