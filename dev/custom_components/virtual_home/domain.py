"""The attributes that a home's file can have for the entities of one domain."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import complete

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .checks import Check

type Settings = dict[str, Any]


def _no_defaults(settings: Settings, given: Settings) -> None:
    """Leave the settings as they are."""


@dataclass(frozen=True, kw_only=True)
class Domain:
    """The attributes of the entities of a domain.

    settings: attributes that never change. values: attributes that are part of the state. state:
    check for the state, None: it cannot be set. default: the state if the file has none. synonyms:
    other names for attributes, or for `state`. prepare: adds settings that the file leaves out.
    complete: see the module of that name.
    """

    state: Check | None = None
    default: str | None = None
    settings: Mapping[str, Check] = field(default_factory=dict)
    values: Mapping[str, Check] = field(default_factory=dict)
    synonyms: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Settings, Settings], None] = _no_defaults
    complete: Callable[[complete.States, complete.States, complete.States], dict[str, Any]] = (
        complete.nothing
    )

    def parse(self, state: Any, attributes: Mapping[Any, Any]) -> tuple[Settings, Settings]:
        """Return the settings and the first values of an entity. Raises ValueError."""
        settings: Settings = {}
        rest: Settings = {}
        for key, value in attributes.items():
            name = self.synonyms.get(key, key)
            if check := self.settings.get(name):
                settings[name] = _checked(key, check, value)
            else:
                rest[key] = value
        given = self.check(state, rest)
        self.prepare(settings, given)
        if "state" not in self.complete(given, settings, {}) and self.default is not None:
            given["state"] = self.default
        return settings, self.complete(given, settings, {})

    def check(self, state: Any, attributes: Mapping[Any, Any]) -> Settings:
        """Return the checked values of a state and attributes. Raises ValueError."""
        given: Settings = {}
        for key, value in {"state": state, **attributes}.items():
            name = self.synonyms.get(key, key)
            check = self.state if name == "state" else self.values.get(name)
            if name == "state" and (value is None or name in given):
                continue
            if check is None:
                known = sorted({*self.settings, *self.values, *self.synonyms})
                raise ValueError(f"{key!r} is none of its attributes: {', '.join(known) or 'none'}")
            given[name] = None if value is None else _checked(key, check, value)
        return given


def _checked(key: str, check: Check, value: Any) -> Any:
    try:
        return check(value)
    except ValueError as err:
        raise ValueError(f"{key}: {err}") from None
