"""Which calls are possible: of tools that exist, about what exists, with all that they need."""

from typing import TYPE_CHECKING, Any

from ..model.markers import mended, mended_in
from .actions import own_call
from .arguments import converted_arguments, fits, misfits
from .errors import InvalidCallError, unknown
from .names import clipped, listed, nearest
from .targets import NAME, Targets
from .tool_names import NAMESPACE, ToolNames, short_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ..client import ToolParam
    from ..home.things import Home
    from .arguments import Schema
    from .limits import Limits


class ToolCallValidator:
    """The calls that a model can make."""

    def __init__(
        self,
        tools: Sequence[ToolParam],
        home: Callable[[], Home] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Know the tools that are offered.

        home: returns what names can stand for, when there is a call; None: for anything. limits: of
        that home, None: only the tools tell what is in range.
        """
        self._parameters: dict[str, Schema] = {
            one["function"]["name"]: one["function"].get("parameters", {}) for one in tools
        }
        self._names = ToolNames(self._parameters)
        self._home = home
        self._limits = limits

    @property
    def tools(self) -> Iterable[str]:
        """Return the names of the tools."""
        return self._parameters

    def names(self) -> Callable[[str, str], Sequence[str] | None]:
        """Return what tells, of a tool by its full name and an argument, all that it can name.

        None: that is nothing of the home. It knows the home as it is now.
        """
        targets = Targets(self._home()) if self._home else None

        def names_for(tool: str, key: str) -> Sequence[str] | None:
            properties = self._parameters[tool].get("properties", {})
            return targets.names(tool, key, properties) if targets else None

        return names_for

    def corrected(self, name: str, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return a call with the names that Home Assistant knows, and arguments of right types.

        Raises CallError, which tells what is possible, if that is not enough to make it possible.
        """
        name, arguments = mended(name), mended_in(arguments)
        tool, arguments = self._called(name, arguments)
        parameters = self._parameters[tool]
        properties = parameters.get("properties", {})
        if self._limits:
            arguments = self._limits.in_own_unit(tool, arguments, properties)
        given = converted_arguments(arguments, parameters)
        home = self._home() if self._home else None
        targets = Targets(home) if home else None
        if targets:
            given = targets.corrected(tool, given, properties)
        self._check_declared(tool, given, parameters)
        if self._limits and home:
            properties = self._limits.narrowed(tool, given, properties, home)
        for key, value in given.items():
            if key in properties:
                _check_choice(key, value, properties[key])
                _check_numbers(key, value, properties[key])
        _check_complete(tool, given, parameters, targets)
        return tool, given

    def _called(self, name: str, arguments: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """Return the tool that is called, and its arguments; raises CallError."""
        if tool := self._names.find(name) or self._names.find(short_name(name)):
            return tool, arguments
        own = own_call(name.removeprefix(NAMESPACE), arguments)
        tool = self._names.find(own[0]) if own else self._names.find(name.rpartition(".")[2])
        if tool is None:
            raise unknown("tool", name, self._parameters)
        return tool, own[1] if own else arguments

    def _check_declared(self, tool: str, given: Mapping[str, Any], parameters: Schema) -> None:
        properties = parameters.get("properties", {})
        surplus = [key for key in given if key not in properties]
        if not surplus or parameters.get("additionalProperties", True):
            return
        others = [
            name
            for name, schema in self._parameters.items()
            if set(surplus) <= schema.get("properties", {}).keys()
        ]
        told = f"{tool} does not take {listed(surplus)}. It takes: {listed(properties)}."
        if others:
            told += f" Of others there is: {nearest(tool, others)}."
        raise InvalidCallError(told)


def _check_complete(
    tool: str, given: Mapping[str, Any], parameters: Schema, targets: Targets | None
) -> None:
    """Raise CallError if an argument is missing."""
    properties = parameters.get("properties", {})
    missing = [key for key in parameters.get("required", ()) if key not in given]
    if missing:
        told = f"{tool} needs {listed(missing)}."
        choices = [str(one) for key in missing for one in _choices_of(properties.get(key, {}))]
        if NAME in missing and targets:
            choices += targets.names_for(tool, properties)
        if choices:
            told += f" There is: {listed(choices)}."
        raise InvalidCallError(told)
    ways = [one["required"] for one in parameters.get("anyOf", ()) if "required" in one]
    if ways and not any(given.keys() >= set(one) for one in ways):
        raise InvalidCallError(f"{tool} needs one of {listed(key for one in ways for key in one)}.")


def _check_choice(key: str, value: Any, schema: Schema) -> None:
    """Raise CallError for a value that is not among those that an argument can have."""
    choices = _choices_of(schema)
    if choices and not fits(value, schema):
        raise unknown(f"'{key}'", str(value), map(str, choices))


def _check_numbers(key: str, value: Any, schema: Schema) -> None:
    """Raise CallError for a number that is none, or that is out of its range."""
    for where, one, wanted in misfits(value, schema, key):
        raise InvalidCallError(
            f"'{where}' must be {wanted}, not {clipped(repr(one))}. "
            "Use what is meant, or say that it is not possible."
        )


def _choices_of(schema: Schema) -> list[Any]:
    """Return the values that an argument, or each of its values, can have; empty: any."""
    return list(schema.get("items", schema).get("enum", ()))
