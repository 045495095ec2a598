"""Parse values printed as JSON or Python literals, without running anything."""

import ast
import json
import re
from typing import Any

_CONSTANTS = {"true": True, "false": False, "null": None}
_PART = re.compile(
    r'"(?:[^"\\]|\\.)*"'  # strings, whose brackets do not count
    r"|'(?:[^'\\]|\\.)*'"
    r"""|["']"""  # an unclosed string
    r"|[\[({]|[\])}]",
    re.DOTALL,
)
_PAIRS = {"[": "]", "(": ")", "{": "}"}


def end_of_brackets(text: str, start: int) -> int | None:
    """Return the index behind the bracket that closes the one at `start`, None if unclosed."""
    depth = 0
    for match in _PART.finditer(text, start):
        part = match.group()
        if part in _PAIRS:
            depth += 1
        elif part in _PAIRS.values():
            depth -= 1
            if depth == 0:
                return match.end()
        elif len(part) == 1:
            return None
    return None


def missing_brackets(text: str) -> str | None:
    """Return the brackets that close a text, None if it ends within a string."""
    closing: list[str] = []
    for match in _PART.finditer(text):
        part = match.group()
        if part in _PAIRS:
            closing.append(_PAIRS[part])
        elif part in _PAIRS.values():
            if closing:
                closing.pop()
        elif len(part) == 1:
            return None
    return "".join(reversed(closing))


def value_of(text: str) -> Any:
    """Parse a value as JSON, else as a Python literal. Raises ValueError if it is neither."""
    try:
        return json.loads(text)
    except ValueError, RecursionError:
        return _value(_parsed(text))


def arguments_of(text: str) -> dict[str, Any]:
    """Parse the arguments of a Python call by name. text: the brackets behind the function's name.

    A single dictionary stands for its entries. Raises ValueError for anything else.
    """
    call = _parsed(f"call{text}")
    if not isinstance(call, ast.Call):
        raise ValueError("This is no call")  # noqa: TRY004 - the text is invalid, not a type
    given = {keyword.arg: _value(keyword.value) for keyword in call.keywords}
    if call.args:
        first = _value(call.args[0])
        if given or len(call.args) > 1 or not isinstance(first, dict):
            raise ValueError("Which arguments these are is not told")
        given = first
    if not all(isinstance(name, str) for name in given):
        raise ValueError("An argument has no name")
    return {str(name): value for name, value in given.items()}


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, RecursionError, MemoryError) as err:
        raise ValueError("This is not Python") from err


def _value(node: ast.expr) -> Any:
    """Return the value of a literal, which may contain `true`, `false` and `null`."""
    match node:
        case ast.Constant(value=str() | int() | float() | None as value):
            return value
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as number)):
            return -number
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return [_value(one) for one in elements]
        case ast.Dict(keys=keys, values=values):
            pairs = zip(keys, values, strict=True)
            return {_key(key): _value(value) for key, value in pairs}
    raise ValueError("This is no plain value")


def _key(node: ast.expr | None) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    raise ValueError("This is no name")
