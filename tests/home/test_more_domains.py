"""Calendars, weather, alarms and other domains of public homes, and a settable clock."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from homeassistant.util import dt as dt_util

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .conftest import Act, LoadHome, WriteHome

DENTIST = {
    "summary": "Dentist",
    "start": "2025-03-04T10:00:00+00:00",
    "end": "2025-03-04T11:00:00+00:00",
}
FAIR = {"summary": "Fair", "start": "2025-03-06", "end": "2025-03-08", "location": "Docks"}
ENTITIES: list[dict[str, Any]] = [
    {"id": "calendar.family", "name": "Family", "attributes": {"events": [FAIR, DENTIST]}},
    {
        "id": "weather.home",
        "name": "Home",
        "attributes": {
            "condition": "sunny",
            "native_temperature": 72,
            "native_temperature_unit": "°F",
            "native_wind_speed_unit": "mph",
            "native_wind_speed": 5,
            "humidity": 60,
            "daily_forecast": ["cloudy", {"condition": "hail", "temperature": 40}],
            "twice_daily_forecast": ["fair", "cold"],
            "hourly_forecast": ["rainy"],
        },
    },
    {"id": "weather.away", "name": "Away", "state": "rainy", "attributes": {"temperature": "4"}},
    {
        "id": "alarm_control_panel.house",
        "name": "House Alarm",
        "attributes": {"supported_features": ["ARM_HOME", "ARM_AWAY"]},
    },
    {"id": "select.mode", "name": "Mode", "state": "blink", "attributes": {"options": ["blink"]}},
    {"id": "siren.roof", "name": "Roof Siren", "attributes": {"supported_features": []}},
    {"id": "button.bell", "name": "Bell"},
    {"id": "notify.phone", "name": "Phone"},
    {"id": "device_tracker.phone", "name": "Phone", "state": "not_home"},
]


@pytest.fixture
async def home(hass: HomeAssistant, write_home: WriteHome, load_home: LoadHome) -> HomeAssistant:
    """Return Home Assistant with one of each."""
    assert await load_home(write_home({"entities": ENTITIES}))
    return hass


@pytest.fixture
async def act(home: HomeAssistant) -> Act:
    """Return a caller of actions."""

    async def call(action: str, **data: Any) -> None:
        domain, _, service = action.partition(".")
        await home.services.async_call(domain, service, data, blocking=True)

    return call


async def ask(hass: HomeAssistant, action: str, **data: Any) -> Any:
    """Return an action's answer of its only entity."""
    domain, _, service = action.partition(".")
    answers = await hass.services.async_call(
        domain, service, data, blocking=True, return_response=True
    )
    assert answers is not None
    return answers[data["entity_id"]]


async def events(hass: HomeAssistant, begin: str, end: str) -> list[str]:
    """Return the summaries of the events between two times."""
    answer = await ask(
        hass,
        "calendar.get_events",
        entity_id="calendar.family",
        start_date_time=begin,
        end_date_time=end,
    )
    return [one["summary"] for one in answer["events"]]


def test_states_are_those_of_the_file(home: HomeAssistant) -> None:
    """An entity with a state is not unknown."""
    states = {one["id"]: home.states.get(one["id"]) for one in ENTITIES}
    found = {entity_id: state.state for entity_id, state in states.items() if state}
    assert found == {
        "calendar.family": "off",
        "weather.home": "sunny",
        "weather.away": "rainy",
        "alarm_control_panel.house": "disarmed",
        "select.mode": "blink",
        "siren.roof": "off",
        "button.bell": "unknown",
        "notify.phone": "unknown",
        "device_tracker.phone": "not_home",
    }


async def test_events_are_found_in_their_time_and_added(home: HomeAssistant, act: Act) -> None:
    """An event that touches the time is included, a past one is not; a reset removes new ones."""
    assert await events(home, "2025-03-04T00:00:00Z", "2025-03-09T00:00:00Z") == ["Dentist", "Fair"]
    assert await events(home, "2025-03-04T10:30:00Z", "2025-03-04T12:00:00Z") == ["Dentist"]
    assert await events(home, "2025-03-04T11:00:00Z", "2025-03-05T00:00:00Z") == []

    await act(
        "calendar.create_event",
        entity_id="calendar.family",
        summary="Party",
        start_date_time="2025-03-05 20:00:00",
        end_date_time="2025-03-05 23:00:00",
    )
    assert await events(home, "2025-03-05T00:00:00Z", "2025-03-06T18:00:00Z") == ["Party", "Fair"]

    await act("virtual_home.reset")
    assert await events(home, "2025-03-05T00:00:00Z", "2025-03-05T18:00:00Z") == []


async def test_weather_has_forecasts_from_today_on(home: HomeAssistant) -> None:
    """By kind of weather, or in full; each starts with its first hour."""
    state = home.states.get("weather.home")
    assert state is not None
    assert (state.attributes["temperature"], state.attributes["humidity"]) == (22.2, 60)
    daily = await ask(home, "weather.get_forecasts", entity_id="weather.home", type="daily")
    days = daily["forecast"]
    assert [(one["condition"], one["temperature"]) for one in days] == [
        ("cloudy", 15.6),
        ("hail", 4.4),
    ]
    first, second = (datetime.fromisoformat(one["datetime"]) for one in days)
    assert second - first == timedelta(days=1)
    assert first.date() == dt_util.now().date()
    twice = await ask(home, "weather.get_forecasts", entity_id="weather.home", type="twice_daily")
    assert [one["is_daytime"] for one in twice["forecast"]] == [True, False]
    hourly = await ask(home, "weather.get_forecasts", entity_id="weather.home", type="hourly")
    assert [one["condition"] for one in hourly["forecast"]] == ["rainy"]


async def test_time_can_be_set(home: HomeAssistant, act: Act) -> None:
    """Home Assistant's clocks and all that depends on them follow, until the reset."""
    real = dt_util.utcnow()
    await act("virtual_home.set_time", now="2025-03-04T10:30:00+00:00")
    now = dt_util.now()
    assert timedelta(0) <= now - datetime.fromisoformat(DENTIST["start"]) < timedelta(hours=1)
    state = home.states.get("calendar.family")
    assert state is not None
    assert (state.state, state.attributes["message"]) == ("on", "Dentist")

    await act("virtual_home.set_time", now="2025-03-05 12:00:00")
    assert f"{dt_util.now():%d %H}" == "05 12"

    await act("virtual_home.reset")
    assert dt_util.utcnow() - real < timedelta(hours=1)


@pytest.mark.parametrize(
    ("action", "data", "expected"),
    [
        ("alarm_control_panel.alarm_arm_home", {}, "armed_home"),
        ("alarm_control_panel.alarm_arm_away", {}, "armed_away"),
        ("select.select_option", {"option": "blink"}, "blink"),
        ("siren.turn_on", {}, "on"),
    ],
)
async def test_actions(
    home: HomeAssistant, act: Act, action: str, data: Any, expected: str
) -> None:
    """They do what they say."""
    domain = action.partition(".")[0]
    (entity_id,) = home.states.async_entity_ids(domain)
    await act(action, entity_id=entity_id, **data)
    state = home.states.get(entity_id)
    assert state is not None
    assert state.state == expected
