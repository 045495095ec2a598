"""The steps of the day: asks, and changes of the home. The same for every agent."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Where(StrEnum):
    """Where a user asks: at a satellite, named by its device, or by phone."""

    KITCHEN = "Kitchen Satellite"
    LIVING_ROOM = "Living Room Satellite"
    BEDROOM = "Bedroom Satellite"
    PHONE = ""


class Pause(StrEnum):
    """The kind of pause before a step; the options set their lengths."""

    MORNING = "morning"
    SHORT = "short"
    SETTLE = "settle"
    RESTART = "restart"
    LONG = "long"


@dataclass(frozen=True, slots=True)
class DayAsk:
    """A user asks. talk: its conversation, None: a new one."""

    name: str
    words: str
    where: Where = Where.PHONE
    guest: bool = False
    talk: str | None = None
    pause: Pause = Pause.SHORT


@dataclass(frozen=True, slots=True)
class Task:
    """An automation runs an AI task."""

    name: str
    words: str
    pause: Pause = Pause.SHORT


@dataclass(frozen=True, slots=True)
class DayAction:
    """An action that changes the state of an entity."""

    domain: str
    action: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the home itself, by commands of the frontend.

    device: the name of the device for the commands' device_id.
    """

    name: str
    commands: tuple[tuple[str, dict[str, Any]], ...]
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Restart:
    """A restart of one program, or of both."""

    name: str
    home_assistant: bool = False
    server: bool = False


@dataclass(frozen=True, slots=True)
class Rush:
    """After the day: a change, and an ask before its prefill is done.

    during_prefill: the ask comes as soon as a prefill has begun, instead of immediately.
    """

    change: Change
    ask: DayAsk
    during_prefill: bool = field(default=False)


type DayStep = DayAsk | Task | DayAction | Change | Restart

RENAME = Change(
    "rename",
    (("config/entity_registry/update", {"entity_id": "light.worktop", "name": "Baking Light"}),),
)
EXPOSE = Change(
    "new entity",
    (
        (
            "homeassistant/expose_entity",
            {
                "assistants": ["conversation"],
                "entity_ids": ["light.christmas_tree"],
                "should_expose": True,
            },
        ),
    ),
)
NEW_AREA = Change(
    "new area",
    (
        ("config/area_registry/create", {"name": "Hobby Room"}),
        ("config/device_registry/update", {"area_id": "hobby_room"}),
    ),
    device="Desk Lamp",
)

DAY: tuple[DayStep, ...] = (
    # Morning
    DayAsk(
        "first of the day", "Good morning, is it cold outside?", Where.KITCHEN, pause=Pause.MORNING
    ),
    DayAsk("kitchen again", "Start the coffee maker.", Where.KITCHEN),
    DayAsk("first in the living room", "Open the curtain, please.", Where.LIVING_ROOM),
    DayAsk("first in the bedroom", "What is the temperature in here?", Where.BEDROOM),
    DayAsk("first by phone", "Is the garage door closed?"),
    DayAsk("guest by phone", "Which lights are on?", guest=True),
    DayAsk("kitchen after others", "Turn on the radio.", Where.KITCHEN),
    DayAsk("timer", "Set a timer for seven minutes.", Where.KITCHEN),
    # States change all day
    DayAction("light", "turn_on", {"entity_id": "light.kitchen_ceiling"}),
    DayAction(
        "virtual_home", "set_state", {"entity_id": "sensor.garden_temperature", "state": "14.2"}
    ),
    DayAsk("after a state", "How warm is the garden now?", Where.KITCHEN),
    DayAction("cover", "open_cover", {"entity_id": "cover.garage_door"}),
    DayAction("media_player", "turn_on", {"entity_id": "media_player.television"}),
    DayAsk("after states", "Turn the volume of the television down.", Where.LIVING_ROOM),
    DayAsk("guest after states", "Is somebody in the garage?", guest=True),
    # A conversation
    DayAsk("talk", "What can I cook with apples?", Where.KITCHEN, talk="cooking"),
    DayAsk("talk, 2nd", "And something without sugar?", Where.KITCHEN, talk="cooking"),
    DayAsk("talk, 3rd", "Put what I need on the list.", Where.KITCHEN, talk="cooking"),
    # Two at the same time
    DayAsk("talk A", "Tell me about the planet Mars.", Where.LIVING_ROOM, talk="mars"),
    DayAsk("talk B", "I cannot sleep, what helps?", Where.BEDROOM, talk="sleep"),
    DayAsk("talk A, 2nd", "How long is a day there?", Where.LIVING_ROOM, talk="mars"),
    DayAsk("talk B, 2nd", "Is it too warm in here for that?", Where.BEDROOM, talk="sleep"),
    DayAsk("talk A, 3rd", "Could people live there?", Where.LIVING_ROOM, talk="mars"),
    DayAsk("talk B, 3rd", "Then make it cooler.", Where.BEDROOM, talk="sleep"),
    # An automation
    Task("task", "Write a title for a note: the washing machine has finished its programme."),
    DayAsk("after the task", "Is the window open?", Where.KITCHEN),
    # Noon
    DayAsk("after 10 minutes", "Close the awning.", Where.LIVING_ROOM, pause=Pause.LONG),
    DayAsk("phone after 10 minutes", "Did I lock the front door?"),
    # The home changes
    RENAME,
    DayAsk("after a rename", "Turn on the baking light.", Where.KITCHEN, pause=Pause.SETTLE),
    DayAsk("then in the living room", "Dim the floor lamp a little.", Where.LIVING_ROOM),
    DayAsk("then in the bedroom", "Open the blind.", Where.BEDROOM),
    EXPOSE,
    DayAsk("after a new entity", "Turn on the tree.", Where.LIVING_ROOM, pause=Pause.SETTLE),
    DayAsk("then by phone", "Turn off the fountain."),
    NEW_AREA,
    DayAsk("after a new area", "Which lights are there in the hobby room?", pause=Pause.SETTLE),
    DayAsk("then in the kitchen", "What is on the shopping list?", Where.KITCHEN),
    # Restarts
    Restart("Home Assistant restarts", home_assistant=True),
    DayAsk("after Home Assistant", "Are all doors locked?", Where.KITCHEN, pause=Pause.RESTART),
    DayAsk("later in the bedroom", "Turn the fan on.", Where.BEDROOM),
    Restart("llama-server restarts", server=True),
    DayAsk("after the server", "Pause the music.", Where.LIVING_ROOM, pause=Pause.RESTART),
    DayAsk("later by phone", "Start the vacuum cleaner."),
    Restart("both restart", home_assistant=True, server=True),
    DayAsk("after both", "Is the car charging?", Where.KITCHEN, pause=Pause.RESTART),
    DayAsk("later in the living room", "Movie night, please.", Where.LIVING_ROOM),
    # Evening
    DayAction("light", "turn_off", {"entity_id": "light.kitchen_ceiling"}),
    DayAction("cover", "close_cover", {"entity_id": "cover.garage_door"}),
    Task("evening task", "Write one sentence for the diary: a calm day, some rain, tree put up."),
    DayAsk("guest in the evening", "How humid is the bathroom?", guest=True),
    DayAsk("timer again", "How much time is left?", Where.KITCHEN),
    DayAsk("good night", "Good night.", Where.BEDROOM, talk="night"),
    DayAsk("good night, 2nd", "Is everything off now?", Where.BEDROOM, talk="night"),
)

RUSHES = (
    Rush(
        Change(
            "rename back",
            (("config/entity_registry/update", {"entity_id": "light.worktop", "name": None}),),
        ),
        DayAsk("at once after a change", "Turn off the worktop light.", Where.KITCHEN),
    ),
    Rush(
        Change(
            "hide it again",
            (
                (
                    "homeassistant/expose_entity",
                    {
                        "assistants": ["conversation"],
                        "entity_ids": ["light.christmas_tree"],
                        "should_expose": False,
                    },
                ),
            ),
        ),
        DayAsk("into a prefill", "Turn off everything in the living room.", Where.LIVING_ROOM),
        during_prefill=True,
    ),
)
