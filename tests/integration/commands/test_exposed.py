"""The exposed home is read once, and follows what changes."""

from typing import TYPE_CHECKING

import pytest
from homeassistant.components.conversation import DOMAIN as ASSISTANT
from homeassistant.components.homeassistant.exposed_entities import async_expose_entity
from homeassistant.helpers import area_registry as ar
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers import floor_registry as fr

from custom_components.llamacpp.home.exposed import (
    ExposedHome,
    async_exposed,
    async_forget_exposed,
    exposed_home,
)
from tests.integration.talk import state_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeassistant.core import HomeAssistant

    from custom_components.llamacpp.home.things import Home

LIGHT = "light.kitchen_light"
# Made without an integration: Home Assistant has no registry entry for it.
BARE = "switch.bare"


def rename_entity(hass: HomeAssistant) -> None:
    """Give an entity another name."""
    er.async_get(hass).async_update_entity(LIGHT, name="Stove Lamp")


def add_alias(hass: HomeAssistant) -> None:
    """Give an entity another name beside its own."""
    er.async_get(hass).async_update_entity(LIGHT, aliases=["Stove Lamp"])


def move_entity(hass: HomeAssistant) -> None:
    """Put an entity into another area than its device."""
    area = ar.async_get(hass).async_get_area_by_name("Garage")
    assert area is not None
    er.async_get(hass).async_update_entity(LIGHT, name="Stove Lamp", area_id=area.id)


def new_entity_id(hass: HomeAssistant) -> None:
    """Give an entity another id."""
    er.async_get(hass).async_update_entity(LIGHT, new_entity_id="light.stove")


def hide_entity(hass: HomeAssistant) -> None:
    """Expose an entity no more."""
    async_expose_entity(hass, ASSISTANT, LIGHT, False)  # noqa: FBT003 - its signature


def hide_bare_entity(hass: HomeAssistant) -> None:
    """Expose an entity no more that has no registry entry."""
    async_expose_entity(hass, ASSISTANT, BARE, False)  # noqa: FBT003 - its signature


def move_device(hass: HomeAssistant) -> None:
    """Put the device of an entity into another area."""
    entry = er.async_get(hass).async_get(LIGHT)
    area = ar.async_get(hass).async_get_area_by_name("Garage")
    assert entry is not None
    assert entry.device_id is not None
    assert area is not None
    dr.async_get(hass).async_update_device(entry.device_id, area_id=area.id)


def remove_state(hass: HomeAssistant) -> None:
    """Take an entity away."""
    hass.states.async_remove(LIGHT)


def add_state(hass: HomeAssistant) -> None:
    """Add an entity that Home Assistant exposes by default."""
    hass.states.async_set("light.new", "on", {"friendly_name": "New Light"})


def new_feature(hass: HomeAssistant) -> None:
    """Let a light have colors."""
    state = state_of(hass, LIGHT)
    attributes = {**state.attributes, "supported_color_modes": ["hs"]}
    hass.states.async_set(LIGHT, state.state, attributes)


def new_friendly_name(hass: HomeAssistant) -> None:
    """Give an entity without a registry entry another name."""
    hass.states.async_set(BARE, "on", {"friendly_name": "Less Bare"})


def rename_area(hass: HomeAssistant) -> None:
    """Give an area another name."""
    area = ar.async_get(hass).async_get_area_by_name("Kitchen")
    assert area is not None
    ar.async_get(hass).async_update(area.id, name="Galley", aliases={"Cuisine"})


def remove_area(hass: HomeAssistant) -> None:
    """Take an area away."""
    area = ar.async_get(hass).async_get_area_by_name("Kitchen")
    assert area is not None
    ar.async_get(hass).async_delete(area.id)


def rename_floor(hass: HomeAssistant) -> None:
    """Give a floor another name."""
    floor = fr.async_get(hass).async_get_floor_by_name("Ground Floor")
    assert floor is not None
    fr.async_get(hass).async_update(floor.floor_id, name="Below")


CHANGES = (
    *(rename_entity, add_alias, move_entity, new_entity_id, hide_entity, hide_bare_entity),
    *(move_device, remove_state, add_state, new_feature, new_friendly_name),
    *(rename_area, remove_area, rename_floor),
)


def parts(home: Home) -> tuple[object, ...]:
    """Return what can be compared of a home."""
    return home.things, home.areas, home.floors


async def read_anew(hass: HomeAssistant) -> Home:
    """Return the home as somebody reads it who knows nothing yet."""
    fresh = ExposedHome(hass, ASSISTANT)
    await fresh.async_read()
    fresh.close()
    return fresh.home(frozenset())


@pytest.mark.parametrize("change", CHANGES)
async def test_the_home_follows_every_change(
    home: HomeAssistant, change: Callable[[HomeAssistant], None]
) -> None:
    """After each change, and after all of them, the home is what a fresh look would find."""
    home.states.async_set(BARE, "off", {"friendly_name": "Bare"})
    before = exposed_home(home, ASSISTANT, without=())
    version = async_exposed(home, ASSISTANT).version
    assert exposed_home(home, ASSISTANT, without=()) is before
    change(home)
    await home.async_block_till_done()
    now = exposed_home(home, ASSISTANT, without=())
    assert parts(now) == parts(await read_anew(home))
    assert parts(now) != parts(before)
    assert async_exposed(home, ASSISTANT).version != version


async def test_the_home_follows_all_changes_together(home: HomeAssistant) -> None:
    """Also those that follow one another."""
    home.states.async_set(BARE, "off", {"friendly_name": "Bare"})
    exposed_home(home, ASSISTANT, without=())
    for change in (add_alias, move_device, new_feature, rename_area, hide_bare_entity, add_state):
        change(home)
    rename_entity(home)
    await home.async_block_till_done()
    known = exposed_home(home, ASSISTANT, without=())
    assert parts(known) == parts(await read_anew(home))
    assert "Stove Lamp" in [thing.name for thing in known.things]


async def test_a_state_changes_nothing(home: HomeAssistant) -> None:
    """Nor does what registries say of devices that nobody is told; the home is the same object."""
    known = exposed_home(home, ASSISTANT)
    version = async_exposed(home, ASSISTANT).version
    state = state_of(home, LIGHT)
    home.states.async_set(LIGHT, "on", {**state.attributes, "brightness": 9})
    await home.async_block_till_done()
    assert async_exposed(home, ASSISTANT).version == version
    entry = er.async_get(home).async_get(LIGHT)
    assert entry is not None
    assert entry.device_id is not None
    dr.async_get(home).async_update_device(entry.device_id, sw_version="2")
    er.async_get(home).async_update_entity(LIGHT, icon="mdi:lamp")
    await home.async_block_till_done()
    assert exposed_home(home, ASSISTANT) is known


async def test_a_forgotten_home_listens_no_more(home: HomeAssistant) -> None:
    """Once nobody needs it, no event costs anything."""
    exposed = async_exposed(home, ASSISTANT)
    async_forget_exposed(home)
    version = exposed.version
    for change in (rename_entity, hide_entity, move_device, add_state, rename_area, rename_floor):
        change(home)
    await home.async_block_till_done()
    assert exposed.version == version
