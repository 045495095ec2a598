"""Grammars that let a model choose a command, or talk."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Each command is on its own line.
BETWEEN = "\n"

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ESCAPED = re.compile(rf'["\\]|{_CONTROLS.pattern}')
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n"}


def writable(text: str) -> str:
    """Replace control characters in a command by spaces: one line that every model can write.

    Many vocabularies lack some of these characters, and the server fails on a grammar that requires
    one of them.
    """
    return _CONTROLS.sub(" ", text)


def grammar_for(parts: Sequence[Sequence[str]], *, may_talk: bool) -> str:
    """Return a grammar in GBNF, llama-server's format.

    parts: the commands of each part of the utterance, one of which the model chooses. may_talk: the
    model may say anything else that does not begin like a command.
    """
    rules = [f"part{i} ::= {_any(texts)}" for i, texts in enumerate(parts)]
    commands = f" {quoted(BETWEEN)} ".join(f"part{i}" for i in range(len(parts)))
    root = f"{commands} | talk" if may_talk else commands
    # A text that only begins like a command would sound as if it was done.
    firsts = "".join(f"\\U{ord(one):08X}" for one in sorted({*" \n", *_firsts(parts)}))
    talk = [f"talk ::= [^{firsts}] [^\\x00]*"] if may_talk else []
    return "\n".join([f"root ::= {root}", *rules, *talk])


def _firsts(parts: Sequence[Sequence[str]]) -> set[str]:
    return {text[0] for texts in parts for text in texts if text}


def _any(texts: Sequence[str]) -> str:
    return " | ".join(map(quoted, texts))


def quoted(text: str) -> str:
    """Quote a literal for GBNF, which does not support all JSON escapes."""
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    return _ESCAPES.get(character, f"\\U{ord(character):08X}")
