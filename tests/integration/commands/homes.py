"""A home in code, the tools for it, and what can be said there."""

from typing import TYPE_CHECKING

from custom_components.llamacpp.home.language import load
from custom_components.llamacpp.home.things import ExposedEntity, Home, Place
from custom_components.llamacpp.nlu.candidates import Candidates
from custom_components.llamacpp.nlu.utterance import understand

if TYPE_CHECKING:
    from custom_components.llamacpp.nlu.candidates import Command

DIMMABLE = frozenset(("brightness",))
HOME = Home(
    things=(
        ExposedEntity("light.kitchen", ("Kitchen Light",), area="kitchen", abilities=DIMMABLE),
        ExposedEntity(
            "light.stove", ("Stove Lamp", "cooker light"), area="kitchen", abilities=DIMMABLE
        ),
        ExposedEntity(
            "light.floor_lamp",
            ("Floor Lamp",),
            area="lounge",
            abilities=frozenset(("brightness", "color", "color_temp")),
        ),
        ExposedEntity(
            "light.ceiling_lounge", ("Ceiling Light",), area="lounge", abilities=DIMMABLE
        ),
        ExposedEntity(
            "light.ceiling_bedroom", ("Ceiling Light",), area="bedroom", abilities=DIMMABLE
        ),
        ExposedEntity("switch.kettle", ("Kettle",), device_class="outlet", area="kitchen"),
        ExposedEntity(
            "fan.bedroom", ("Bedroom Fan",), area="bedroom", abilities=frozenset(("speed",))
        ),
        ExposedEntity("climate.heating", ("Radiator",), area="lounge"),
        ExposedEntity(
            "cover.roller",
            ("Roller Blind",),
            device_class="blind",
            area="bedroom",
            abilities=frozenset(("position",)),
        ),
        ExposedEntity("cover.garage", ("Garage Door",), device_class="garage", area="garage"),
        ExposedEntity("lock.front", ("Front Door",), area="hall"),
        ExposedEntity("valve.tap", ("Garden Tap",), area="garden"),
        ExposedEntity("media_player.tele", ("Telly",), device_class="tv", area="lounge"),
        ExposedEntity(
            "vacuum.dusty", ("Dusty",), area="lounge", abilities=frozenset(("clean_area",))
        ),
        ExposedEntity("scene.cosy", ("Cosy Evening",)),
        ExposedEntity("todo.shopping", ("Shopping List",), area="kitchen"),
        ExposedEntity(
            "sensor.hall", ("Hall Temperature",), device_class="temperature", area="hall"
        ),
    ),
    areas={
        "kitchen": Place(("Kitchen",), floor="ground"),
        "lounge": Place(("Living Room", "lounge"), floor="ground"),
        "hall": Place(("Hall",), floor="ground"),
        "bedroom": Place(("Bedroom",), floor="upper"),
        "garage": Place(("Garage",)),
        "garden": Place(("Garden",)),
    },
    floors={
        "ground": Place(("Ground Floor", "downstairs")),
        "upper": Place(("Upper Floor", "upstairs")),
    },
)
TARGET = ("name", "area", "floor", "domain", "device_class")
# By their names behind the namespace; the arguments are those of Home Assistant.
TOOLS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("HassTurnOn", "HassTurnOff", "HassStopMoving"), TARGET),
    "HassLightSet": (*TARGET, "color", "temperature", "brightness"),
    "HassSetPosition": (*TARGET, "position"),
    "HassClimateSetTemperature": ("name", "area", "floor", "temperature"),
    "HassFanSetSpeed": ("name", "area", "floor", "percentage"),
    "HassSetVolume": ("name", "area", "floor", "volume_level"),
    "HassSetVolumeRelative": ("name", "area", "floor", "volume_step"),
    **dict.fromkeys(("HassMediaPause", "HassMediaUnpause"), ("name", "area", "floor")),
    **dict.fromkeys(("HassVacuumStart", "HassVacuumReturnToBase"), ("name", "area", "floor")),
    "HassVacuumCleanArea": ("name", "area"),
    **dict.fromkeys(
        ("HassListAddItem", "HassListCompleteItem", "HassListRemoveItem"), ("name", "item")
    ),
    "HassStartTimer": ("name", "hours", "minutes", "seconds", "conversation_command"),
    **dict.fromkeys(("HassIncreaseTimer", "HassDecreaseTimer"), ("hours", "minutes", "seconds")),
    **dict.fromkeys(("HassPauseTimer", "HassUnpauseTimer", "HassTimerStatus"), ("name", "area")),
    "HassCancelTimer": ("name", "area"),
    "HassCancelAllTimers": ("area",),
    "get_items": ("todo_list", "status"),
}
DECLARED = {name: (f"test__{name}", arguments) for name, arguments in TOOLS.items()}


def parts_of(
    text: str, here: str | None = None, code: str = "en", home: Home = HOME
) -> list[list[Command]]:
    """Return the commands of each part of what was said. here: the area it was said in."""
    language = load(code)
    candidates = Candidates(home, language, DECLARED, here)
    return candidates.for_said(understand(text, language))


def commands(
    text: str, here: str | None = None, code: str = "en", home: Home = HOME
) -> list[Command]:
    """Return the commands that words with one meaning can stand for."""
    found = parts_of(text, here, code, home)
    assert len(found) < 2, found
    return found[0] if found else []


def heard(text: str, here: str | None = None, code: str = "en", home: Home = HOME) -> set[str]:
    """Return those of them whose verb was said."""
    return {one.text for one in commands(text, here, code, home) if one.is_heard}
