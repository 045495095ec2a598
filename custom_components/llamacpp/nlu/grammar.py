"""Grammars under which a model can only choose among commands, or talk."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Each command is a line of its own.
BETWEEN = "\n"

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ESCAPED = re.compile(rf'["\\]|{_CONTROLS.pattern}')
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n"}


def writable(text: str) -> str:
    """Return a command as every model can write it, on one line: control characters are spaces.

    Many vocabularies lack some of these characters, and the server fails on a grammar whose only
    way on is one of them.
    """
    return _CONTROLS.sub(" ", text)


def grammar_for(parts: Sequence[Sequence[str]], *, may_talk: bool) -> str:
    """Return a grammar in GBNF, the form of llama-server.

    parts: for each part of what was said the commands of which one is to be chosen. may_talk: the
    model can say something else instead: anything that does not begin like a command.
    """
    rules = [f"part{i} ::= {_any(texts)}" for i, texts in enumerate(parts)]
    commands = f" {quoted(BETWEEN)} ".join(f"part{i}" for i in range(len(parts)))
    root = f"{commands} | talk" if may_talk else commands
    # What only begins like a command would sound as if it had been done.
    firsts = "".join(f"\\U{ord(one):08X}" for one in sorted({*" \n", *_firsts(parts)}))
    talk = [f"talk ::= [^{firsts}] [^\\x00]*"] if may_talk else []
    return "\n".join([f"root ::= {root}", *rules, *talk])


def _firsts(parts: Sequence[Sequence[str]]) -> set[str]:
    return {text[0] for texts in parts for text in texts if text}


def _any(texts: Sequence[str]) -> str:
    return " | ".join(map(quoted, texts))


def quoted(text: str) -> str:
    """Return a literal of GBNF, which does not know all escapes of JSON."""
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    return _ESCAPES.get(character, f"\\U{ord(character):08X}")
