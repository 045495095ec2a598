"""Checks for values from a home's file or from an action.

Each check takes a value, returns it in the form of Home Assistant's entities, and raises ValueError
with a short reason if it does not fit. A checked value survives JSON: checking it again after a
round trip returns the same value.
"""

from datetime import date
from enum import IntFlag
from typing import TYPE_CHECKING, Any

from homeassistant.util import dt as dt_util

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from enum import Enum

type Check = Callable[[Any], Any]

QUALIFIED_PARTS = 3
RGB_MAX = 255


def text(value: Any) -> str:
    """Accept text, and numbers as text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{value!r} is not a text")  # noqa: TRY004 - one kind of error for all
    return str(value)


def texts(value: Any) -> list[str]:
    """Accept a list of texts."""
    return [text(part) for part in as_list(value)]


def boolean(value: Any) -> bool:
    """Accept true and false."""
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")  # noqa: TRY004 - as in text()
    return value


def as_list(value: Any) -> list[Any]:
    """Accept a list."""
    if not isinstance(value, list | tuple | set):
        raise ValueError(f"{value!r} is not a list")  # noqa: TRY004 - as in text()
    return list(value)


def number(low: float, high: float) -> Check:
    """Return a check for a number within these limits; accepts text, too."""

    def check(value: Any) -> float:
        if isinstance(value, bool):
            raise ValueError(f"{value!r} is not a number")  # noqa: TRY004 - as in text()
        try:
            result = float(value)
        except TypeError, ValueError:
            raise ValueError(f"{value!r} is not a number") from None
        if not low <= result <= high:
            raise ValueError(f"{value!r} is not between {low} and {high}")
        return result

    return check


def whole(low: int, high: int) -> Check:
    """Return a check for a whole number within these limits."""
    check_number = number(low, high)

    def check(value: Any) -> int:
        result: float = check_number(value)
        if not result.is_integer():
            raise ValueError(f"{value!r} is not a whole number")
        return int(result)

    return check


def numbers(*checks: Check) -> Check:
    """Return a check for a list with a number for each check, such as the parts of a colour."""

    def check(value: Any) -> tuple[float, ...]:
        parts = as_list(value)
        if len(parts) != len(checks):
            raise ValueError(f"{value!r} has not {len(checks)} numbers")
        return tuple(one(part) for one, part in zip(checks, parts, strict=True))

    return check


def member(kind: type[Enum]) -> Check:
    """Return a check for one member of an enum of Home Assistant.

    It may be given by its value (`garage`), its name (`GARAGE`) or the way Python code names it
    (`cover.CoverDeviceClass.GARAGE`).
    """

    def check(value: Any) -> Enum:
        # YAML reads an unquoted `off` as false.
        wanted = {False: "off", True: "on"}[value] if isinstance(value, bool) else value
        if isinstance(wanted, kind):
            return wanted
        if isinstance(wanted, str):
            parts = wanted.split(".")
            if len(parts) == QUALIFIED_PARTS and parts[1] == kind.__name__:
                wanted = parts[2]
            for option in kind:
                if wanted in (option.name, option.value):
                    return option
        raise ValueError(f"{value!r} is no {kind.__name__}")

    return check


def members(kind: type[Enum]) -> Check:
    """Return a check for a list of members of an enum."""
    check_member = member(kind)
    return lambda value: [check_member(part) for part in as_list(value)]


def flags[FlagT: IntFlag](kind: type[FlagT]) -> Check:
    """Return a check for a list of members of a flag enum, or their sum."""
    check_member = member(kind)

    def check(value: Any) -> FlagT:
        result = kind(value if isinstance(value, int) and not isinstance(value, bool) else 0)
        for part in [] if isinstance(value, int) else as_list(value):
            result |= check_member(part)
        return result

    return check


def choice(*options: str, synonyms: Mapping[Any, str] | None = None) -> Check:
    """Return a check for one of these words; `synonyms` maps other values to one of them."""

    def check(value: Any) -> str:
        wanted = value if synonyms is None else synonyms.get(value, value)
        if wanted not in options:
            raise ValueError(f"{value!r} is none of {', '.join(options)}")
        return str(wanted)

    return check


def moment(value: Any) -> date | datetime:
    """Accept a date, or a date with a time."""
    given = str(value)
    try:
        return date.fromisoformat(given)
    except ValueError:
        parsed = dt_util.parse_datetime(given)
    if parsed is None:
        raise ValueError(f"{value!r} is neither a date nor a date with a time")
    return parsed


def one_of(check_member: Check) -> Check:
    """Return a check that also accepts a list with exactly one value."""

    def check(value: Any) -> Any:
        if isinstance(value, list) and len(value) == 1:
            return check_member(value[0])
        return check_member(value)

    return check


RGB = whole(0, RGB_MAX)
ANY_NUMBER = number(float("-inf"), float("inf"))
POSITION = whole(0, 100)
