"""The best command of our own ranking: the answer of a model that always takes the first."""

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NO_GRAMMAR = "..."
_LITERAL = re.compile(r'"(?:[^"\\]|\\.)*"')
_PART = re.compile(r"part\d+")


def first_choice(body: Mapping[str, Any]) -> Sequence[str]:
    """Return the pieces of an answer to a chat request, given by its body.

    With a grammar of commands: the first command of each part, one per line. Otherwise a
    meaningless text.
    """
    grammar = body.get("grammar")
    return [first_commands(grammar) if grammar else NO_GRAMMAR]


def first_commands(grammar: str) -> str:
    """Return the first command of each part of a grammar that our agent has made."""
    rules = dict(line.split(" ::= ", 1) for line in grammar.split("\n"))
    return "\n".join(_first(rules[part]) for part in _PART.findall(rules["root"]))


def _first(rule: str) -> str:
    literal = _LITERAL.match(rule)
    if literal is None:
        raise ValueError(f"no literal is first: {rule}")
    # Commands have no characters that JSON would write otherwise: they are on one line.
    command: str = json.loads(literal.group())
    return command
