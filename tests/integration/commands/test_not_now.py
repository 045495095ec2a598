"""What is not to be done, or not now, or not to everything: said to an agent, as users have it."""

from typing import TYPE_CHECKING

import pytest

from custom_components.llamacpp.home.language import load
from tests.integration.talk import ask, speech, state_of

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

    from .conftest import Talk

NOT_NOW = {
    "en": (
        "don't unlock the side door",
        "never unlock the side door",
        "I did not say unlock the side door",
        "I don't think you should unlock the side door",
        "no need to unlock the side door",
        "please don't open the irrigation",
        "unlock the side door tomorrow",
        "unlock the side door when Anna comes home",
        "if it rains open the bedroom blind",
        "turn on the kitchen light if the side door is open",
        "don't turn on the kitchen light",
        "I don't want the kitchen light on anymore",
        "under no circumstances unlock the side door",
        "unlock the side door unless it rains",
        "turn on the kitchen light before I get home",
        "neither turn on the kitchen light nor the floor lamp",
    ),
    "de": (
        "Schließ die Side Door nicht auf",
        "Mach das Kitchen Light nicht an",
        "Mach das Kitchen Light an, wenn es dunkel wird",
        "Du sollst die Side Door nicht aufschließen",
    ),
    "it": (
        "non aprire la Side Door",
        "non accendere Kitchen Light",
        "accendi Kitchen Light quando torno",
        "nessuno ti ha detto di accendere Kitchen Light",
    ),
    "fr": (
        "ne déverrouille pas la Side Door",
        "n'allume pas Kitchen Light",
        "allume Kitchen Light s'il fait nuit",
        "pas besoin d'allumer Kitchen Light",
    ),
    "es": ("no enciendas Kitchen Light", "enciende Kitchen Light si oscurece"),
    "nl": ("doe Kitchen Light niet aan", "zet Kitchen Light nooit aan"),
    "pl": ("włącz Kitchen Light jutro", "nie trzeba włączać Kitchen Light"),
}
EXCEPT = {
    "en": (
        "turn on all lights except the kitchen light",
        "turn on everything in the kitchen but the light",
        "dim the lights to 20% except in the kitchen",
        "turn on all the lights apart from the kitchen light",
    ),
    "de": ("Schalte alle Lichter ein außer Kitchen Light",),
    "it": ("accendi tutte le luci tranne Kitchen Light",),
    "fr": ("allume toutes les lumières sauf Kitchen Light",),
    "es": ("enciende todas las luces excepto Kitchen Light",),
}
LIGHT, BLIND, PLAYER = "light.kitchen_light", "cover.bedroom_blind", "media_player.television"


@pytest.fixture(autouse=True)
def _model_first() -> None:
    """Have Home Assistant's sentences tried first, as users have it."""


def states(hass: HomeAssistant) -> dict[str, str]:
    """Return the states of all that can be controlled."""
    domains = {"light", "switch", "cover", "lock", "valve", "fan", "climate", "media_player"}
    return {one.entity_id: one.state for one in hass.states.async_all(domains)}


@pytest.mark.parametrize("code", NOT_NOW)
async def test_nothing_moves(talk: Talk, code: str) -> None:
    """A plain order is asked for, and no model is: it would do the opposite of what was said."""
    before = states(talk.hass)
    asked = str(load(code).texts["not_done"]).partition("{command}")[0]
    for text in NOT_NOW[code]:
        result = await ask(talk.hass, text, language=code)
        await talk.hass.async_block_till_done()
        assert states(talk.hass) == before, text
        assert speech(result).startswith(asked), (text, speech(result))
    assert not talk.requests


@pytest.mark.parametrize("code", EXCEPT)
async def test_not_what_is_excepted(talk: Talk, code: str) -> None:
    """It stays as it is, and nothing else is done than what was said."""
    for text in EXCEPT[code]:
        await ask(talk.hass, text, language=code)
        await talk.hass.async_block_till_done()
        assert state_of(talk.hass, LIGHT).state == "off", text


async def test_not_this_one(talk: Talk) -> None:
    """A name behind `not` is not what is meant."""
    before = states(talk.hass)
    await ask(talk.hass, "turn on the desk lamp that is not the kitchen light")
    assert states(talk.hass) == before
    assert not talk.requests


@pytest.mark.parametrize(
    ("text", "entity_id", "attribute", "before", "after"),
    [
        ("turn it up ten degrees in the living room", "climate", "temperature", 20, 30),
        ("turn the thermostat up by 2 degrees", "climate", "temperature", 20, 22),
        ("turn the television up by 10 percent", PLAYER, "volume_level", 0.4, 0.5),
        ("increase the kitchen light by 20 percent", LIGHT, "brightness", 102, 153),
        ("lower the bedroom blind by 20 percent", BLIND, "current_position", 100, 80),
    ],
)
async def test_a_difference_is_no_value(  # noqa: PLR0913, PLR0917 - before and after
    talk: Talk, text: str, entity_id: str, attribute: str, before: float, after: float
) -> None:
    """Ten degrees warmer is not ten degrees."""
    if entity_id == "climate":
        (entity_id,) = talk.hass.states.async_entity_ids("climate")
    fields = {"entity_id": entity_id, "attributes": {attribute: before}}
    if entity_id in {LIGHT, PLAYER}:
        fields["state"] = "on"
    await talk.hass.services.async_call("virtual_home", "set_state", fields, blocking=True)
    await ask(talk.hass, text)
    await talk.hass.async_block_till_done()
    assert state_of(talk.hass, entity_id).attributes[attribute] == pytest.approx(after, rel=0.01)


async def test_a_difference_that_is_not_clear(talk: Talk) -> None:
    """`Close` says one thing, `more` another: nothing opens, and nothing is set to 20 percent."""
    fields = {"entity_id": BLIND, "attributes": {"current_position": 60}}
    await talk.hass.services.async_call("virtual_home", "set_state", fields, blocking=True)
    await ask(talk.hass, "close the bedroom blind 20 percent more")
    assert state_of(talk.hass, BLIND).attributes["current_position"] == 60
