"""Check and correct tool calls: the tool, its targets, its arguments."""

from typing import TYPE_CHECKING, Any

from ..model.markers import mended, mended_in
from .actions import own_call
from .arguments import converted_arguments, fits, misfits
from .invalid_call import InvalidCallError, unknown
from .names import clipped, listed, nearest
from .targets import NAME, Targets, choices_of
from .tool_names import NAMESPACE, ToolNames, short_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ..client import ToolParam
    from ..home.things import Home
    from .arguments import Schema
    from .limits import Limits


class ToolCallValidator:
    """Validates the calls of a model."""

    def __init__(
        self,
        tools: Sequence[ToolParam],
        home: Callable[[], Home] | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Initialize with the offered tools.

        home: called per call, returns the home whose names are valid; None: any name is. limits:
        ranges of the home's entities; None: only the tools' schemas have ranges.
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
        """Return a function from a tool's full name and an argument to the argument's valid names.

        It returns None for arguments that take any value. Uses a snapshot of the home.
        """
        targets = Targets(self._home()) if self._home else None

        def names_for(tool: str, key: str) -> Sequence[str] | None:
            properties = self._parameters[tool].get("properties", {})
            return targets.names(tool, key, properties) if targets else None

        return names_for

    def corrected(self, name: str, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the tool's full name, and arguments with valid names and of the right types.

        Raises InvalidCallError, which tells the model what is valid, if the call stays invalid.
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
        """Return the full name of the tool and its arguments. Raises InvalidCallError."""
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
    """Raise InvalidCallError if an argument is missing."""
    properties = parameters.get("properties", {})
    missing = [key for key in parameters.get("required", ()) if key not in given]
    if missing:
        told = f"{tool} needs {listed(missing)}."
        choices = [str(one) for key in missing for one in choices_of(properties.get(key, {}))]
        if NAME in missing and targets:
            choices += targets.names_for(tool, properties)
        if choices:
            told += f" There is: {listed(choices)}."
        raise InvalidCallError(told)
    ways = [one["required"] for one in parameters.get("anyOf", ()) if "required" in one]
    if ways and not any(given.keys() >= set(one) for one in ways):
        raise InvalidCallError(f"{tool} needs one of {listed(key for one in ways for key in one)}.")


def _check_choice(key: str, value: Any, schema: Schema) -> None:
    """Raise InvalidCallError for a value that is not in the argument's enum."""
    choices = choices_of(schema)
    if choices and not fits(value, schema):
        raise unknown(f"'{key}'", str(value), map(str, choices))


def _check_numbers(key: str, value: Any, schema: Schema) -> None:
    """Raise InvalidCallError for a number that is invalid or out of range."""
    for where, one, wanted in misfits(value, schema, key):
        raise InvalidCallError(
            f"'{where}' must be {wanted}, not {clipped(repr(one))}. "
            "Use what is meant, or say that it is not possible."
        )
