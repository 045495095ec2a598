"""What models are called where a user chooses one: name, size, use, speed, in short words."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from homeassistant.helpers.selector import (
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
from homeassistant.helpers.translation import async_get_translations

from .client import ModelStatus
from .const import DOMAIN
from .model.abilities import MIN_TOOL_PARAMS, active_params
from .server_state import IN_MEMORY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from homeassistant.core import HomeAssistant

    from .app import AppModel
    from .client import Model

SEPARATOR = " · "
_PREFIX = f"component.{DOMAIN}.selector.model.options."
_GB = 1_000_000_000
# That of nearly all that is suggested.
_USUAL = "-Q4_K_M"
# Weights in a model's name, such as 4B or 270M: a router tells no more before it has loaded it.
_SIZE = re.compile(r"(?:^|[-_ /])(\d+(?:\.\d+)?)([BM])(?![A-Z0-9])", re.IGNORECASE)
_SCALE = {"b": 1_000_000_000, "m": 1_000_000}


@dataclass(frozen=True, slots=True)
class Words:
    """The words of labels, in the language of the home."""

    home: str
    talk: str
    in_use: str
    download: str
    too_large: str
    speed: str

    @classmethod
    async def async_of(cls, hass: HomeAssistant) -> Words:
        """Return the words of our translations."""
        texts = await async_get_translations(hass, hass.config.language, "selector", [DOMAIN])
        return cls(**{name: texts[_PREFIX + name] for name in cls.__slots__})

    def use(self, *, calls_tools: bool | None) -> list[str]:
        """Return what a model is good for: a small one chooses among commands."""
        if calls_tools is None:
            return []
        return [f"{self.home}, {self.talk}" if calls_tools else self.home]


async def async_app_selector(hass: HomeAssistant, models: Sequence[AppModel]) -> SelectSelector:
    """Return what chooses one of the models of our app, those first that can be used at once."""
    words = await Words.async_of(hass)
    return _selector([_option(one, words) for one in sorted(models, key=_order)])


def _selector(options: list[SelectOptionDict]) -> SelectSelector:
    """Return a list in which the labels have room on a phone."""
    return SelectSelector(SelectSelectorConfig(options=options, mode=SelectSelectorMode.LIST))


def _order(model: AppModel) -> tuple[bool, bool, bool, int]:
    return not model.is_in_use, bool(model.url), model.fits is False, model.n_bytes or 0


def _option(model: AppModel, words: Words) -> SelectOptionDict:
    parts = [model.name.removesuffix(_USUAL)]
    if model.n_bytes:
        parts.append(f"{model.n_bytes / _GB:.1f} GB")
    parts += words.use(calls_tools=model.calls_tools)
    if model.speed is not None:
        about = "" if model.is_measured else "≈ "
        parts.append(f"{about}{model.speed:g} {words.speed}")
    if model.is_in_use:
        parts.append(words.in_use)
    elif model.fits is False:
        parts.append(words.too_large)
    elif model.url:
        parts.append(words.download)
    return SelectOptionDict(value=model.name, label=SEPARATOR.join(parts))


async def async_router_selector(hass: HomeAssistant, models: Sequence[Model]) -> SelectSelector:
    """Return what chooses one of the models of a router, in the router's order."""
    words = await Words.async_of(hass)
    options = []
    for one in models:
        n_active = active_params(one.n_params or _params_in(one.id), one.id)
        calls_tools = None if n_active is None else n_active >= MIN_TOOL_PARAMS
        size = [f"{one.size / _GB:.1f} GB"] if one.size else []
        parts = [one.id, *size, *words.use(calls_tools=calls_tools)]
        if one.status in IN_MEMORY:
            parts.append(words.in_use)
        elif one.status is ModelStatus.DOWNLOADING:
            parts.append(words.download)
        options.append(SelectOptionDict(value=one.id, label=SEPARATOR.join(parts)))
    return _selector(options)


def _params_in(name: str) -> int | None:
    """Return the number of weights in a model's name, None if there is none."""
    match = _SIZE.search(name)
    return round(float(match[1]) * _SCALE[match[2].lower()]) if match else None
