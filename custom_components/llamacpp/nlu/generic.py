"""Make commands for tools without a sentence in the language: scripts, other integrations."""

import re
from itertools import product
from typing import TYPE_CHECKING, Any

from ..home.spoken import bare
from ..home.words import as_written, find, words_of
from .candidates import Command
from .explained import small_places
from .verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from ..home.language import Language
    from .utterance import Utterance

_CAPITALS = re.compile(r"(?<=[a-z])(?=[A-Z])")
_ALIASES = re.compile(r"Aliases: \[(.*)\]")
_ALIAS = re.compile(r"'([^']+)'")
# Does not describe what a tool does.
_PREFIX = "hass"
# Their results are already in the context of the user's message.
_NOT_NEEDED = frozenset(("GetLiveContext", "GetDateTime"))


def generic_commands(
    tools: Sequence[Mapping[str, Any]],
    reading: Collection[str],
    said: Utterance,
    language: Language,
    of_home: frozenset[str] = frozenset(),
) -> list[Command]:
    """Return calls of the tools without sentences whose names are in the utterance.

    tools: in OpenAI's format. reading: names of read-only tools. of_home: words of the home's
    names, which are never typos of a tool's. Skips tools whose required arguments are not in the
    utterance.
    """
    known = {one.tool for one in language.sentences} | _NOT_NEEDED
    found: list[Command] = []
    for function in (tool["function"] for tool in tools):
        if bare(function["name"]) in known:
            continue
        title = _said_title(function, said.words, language.common, of_home)
        if title is None:
            continue
        named = words_of(title)
        rest = [said.written.get(word, word) for word in said.words if word not in named]
        found += [
            Command(
                text=_text(title, args, language),
                tool=function["name"],
                args=args,
                is_heard=True,
                is_named=True,
                reads=function["name"] in reading,
                rest=_left_over(said, {*named, *words_of(_text("", args, language))}, language),
            )
            for args in _arguments(function["parameters"], rest)
        ]
    return found


def _left_over(said: Utterance, own: Collection[str], language: Language) -> tuple[str, ...]:
    """Return the words that are not small, a verb, or in the names of the tool and its values.

    Any verb counts: a script can only be run. own: the words of names and values.
    """
    verbs = Verbs(language).found(said.words)
    small = small_places(said.words, language)
    known = small.union(said.joins, *(one.places for one in verbs))
    return tuple(
        word
        for index, word in enumerate(said.words)
        if index not in known and find(word, tuple(own), language.common) is None
    )


def _said_title(
    function: Mapping[str, Any],
    words: Sequence[str],
    common: frozenset[str],
    of_home: frozenset[str],
) -> str | None:
    """Return the longest name of a tool that is in the utterance as a whole."""
    named = _CAPITALS.sub(" ", bare(function["name"])).replace("_", " ")
    aliases = _ALIASES.search(function.get("description") or "")
    titles = [named, *(_ALIAS.findall(aliases[1]) if aliases else ())]
    said = [
        title
        for title in titles
        if (own := [word for word in words_of(title) if word != _PREFIX])
        and all(find(word, words, common, of_home) is not None for word in own)
    ]
    return max(said, key=len, default=None)


def _arguments(schema: Mapping[str, Any], rest: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield candidates for the required arguments from the remaining words."""
    required = schema.get("required") or ()
    values = [list(_values(schema["properties"][name], rest)) for name in required]
    for given in product(*values):
        yield dict(zip(required, given, strict=True))


def _values(schema: Mapping[str, Any], rest: Sequence[str]) -> Iterator[Any]:
    if choices := schema.get("enum"):
        yield from choices
    elif schema.get("type") in ("integer", "number"):
        for word in rest:
            if word[0].isdigit():
                number = float(word.replace(",", "."))
                yield int(number) if schema["type"] == "integer" else number
    elif schema.get("type") == "boolean":
        yield from (True, False)
    elif schema.get("type") == "string" and rest:
        yield as_written(rest, {})


def _text(title: str, args: Mapping[str, Any], language: Language) -> str:
    words = str(language.texts["generic"]).format(tool=title)
    return " ".join((words, *(str(value) for value in args.values())))
