"""What families say in a home that no word list was made with: plain orders are done at once.

`plain/` has sentences for each language, for some also of further homes, by what they do: at
once (`done`), and also perhaps only after a question (`asked`); and what must never be done at
once (`never`).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from custom_components.llamacpp.home.language import load
from custom_components.llamacpp.home.things import ExposedEntity, Home, Place
from custom_components.llamacpp.nlu.candidates import Candidates
from custom_components.llamacpp.nlu.interpret import Interpreter
from custom_components.llamacpp.nlu.relative import Now

from .test_vocabulary import OF_KINDS, TOOLS, VALUES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from homeassistant.core import HomeAssistant

    from custom_components.llamacpp.nlu.candidates import Command

PLAIN = Path(__file__).with_name("plain")
CODES = sorted(path.stem for path in PLAIN.glob("*.yaml"))
DIMS, OPENS = ("brightness",), ("position",)
COLORS = ("brightness", "color", "color_temp")
# Where each thing is, its device class, and what it can do.
THINGS: dict[str, tuple[str | None, str | None, tuple[str, ...]]] = {
    "light.ceiling": ("kitchen", None, DIMS),
    "light.counter": ("kitchen", None, DIMS),
    "light.sofa": ("living", None, COLORS),
    "light.left": ("bedroom", None, DIMS),
    "light.right": ("bedroom", None, DIMS),
    "light.kid": ("kid", None, COLORS),
    "light.terrace": ("garden", None, DIMS),
    "switch.kettle": ("kitchen", "outlet", ()),
    "fan.bedroom": ("bedroom", None, ("speed",)),
    "climate.living": ("living", None, ()),
    "climate.bath": ("bath", None, ()),
    "cover.blind": ("living", "blind", OPENS),
    "cover.shutter": ("bedroom", "shutter", OPENS),
    "cover.garage": ("garage", "garage", ()),
    "lock.front": ("hall", None, ()),
    "lock.cellar": ("cellar", None, ()),
    "media_player.tv": ("living", "tv", ()),
    "media_player.radio": ("kitchen", None, ()),
    "vacuum.rob": ("living", None, ("clean_area",)),
    "scene.film": (None, None, ()),
    "todo.shopping": ("kitchen", None, ()),
    "valve.garden": ("garden", None, ()),
}
UPPER = ("bedroom", "kid", "bath")


def told(command: Command) -> str:
    """Return a call in short: `HassLightSet Xanadu 30`."""
    values = (value for name, value in command.args.items() if name not in OF_KINDS)
    texts = (f"{one:g}" if isinstance(one, float) else str(one) for one in values)
    return " ".join((command.tool.rpartition("__")[2], *texts))


def home_of(raw: Mapping[str, Any]) -> Home:
    """Return the home with a language's own names."""
    return Home(
        things=tuple(
            ExposedEntity(one, (raw["things"][one],), device_class, area, frozenset(abilities))
            for one, (area, device_class, abilities) in THINGS.items()
        ),
        areas={
            one: Place((name,), "upper" if one in UPPER else "ground")
            for one, name in raw["areas"].items()
        },
        floors={one: Place((name,)) for one, name in raw["floors"].items()},
    )


class Said:
    """A language's sentences, and what each means in its home."""

    def __init__(self, hass: HomeAssistant, code: str) -> None:
        """Put the home's states into Home Assistant. code: name of a file, such as `de-remise`."""
        self.raw: dict[str, Any] = yaml.safe_load((PLAIN / f"{code}.yaml").read_text("utf-8"))
        self._language = load(code.partition("-")[0])
        self._home = home_of(self.raw)
        for thing in self._home.things:
            hass.states.async_set(thing.entity_id, "unknown", VALUES)
        self._now = Now(hass)

    def done(self, text: str) -> str:
        """Return the calls that a text makes at once, empty if none."""
        candidates = Candidates(self._home, self._language, TOOLS, now=self._now)
        meaning = Interpreter(candidates, self._language).meaning(text)
        firsts = [part[0] for part in meaning.parts]
        is_done = firsts and all(one.is_plain and not one.reads for one in firsts)
        return ", ".join(map(told, firsts)) if is_done else ""


def expected_of(texts: Mapping[str, list[str]]) -> dict[str, str]:
    """Return what each sentence is to do; a colon tells keys with the same call apart."""
    return {text: calls.strip(" :") for calls, some in texts.items() for text in some}


@pytest.mark.parametrize("code", CODES)
async def test_done_at_once(hass: HomeAssistant, code: str) -> None:
    """What is explained whole and has one meaning is done, and nothing else."""
    said = Said(hass, code)
    expected = expected_of(said.raw["done"])
    assert {text: said.done(text) for text in expected} == expected


@pytest.mark.parametrize("code", CODES)
async def test_not_done_otherwise(hass: HomeAssistant, code: str) -> None:
    """Of what is not understood whole, nothing else is done without asking."""
    said = Said(hass, code)
    expected = expected_of(said.raw["asked"])
    wrong = {
        text: done for text in expected if (done := said.done(text)) not in ("", expected[text])
    }
    assert not wrong


@pytest.mark.parametrize("code", CODES)
async def test_never_at_once(hass: HomeAssistant, code: str) -> None:
    """What only looks like an order, or would unlock something, is not done without asking."""
    said = Said(hass, code)
    assert not {text: done for text in said.raw["never"] if (done := said.done(text))}
