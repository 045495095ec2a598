"""Render tool calls as sentences: the model reads its past calls in this form."""

import json
from typing import TYPE_CHECKING, Any

from .durations import duration_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .language import Language, Sentence


def bare(tool: str) -> str:
    """Return a tool's name without its namespace."""
    return tool.rpartition("__")[2]


def sentence_of(tool: str, args: Mapping[str, Any], language: Language) -> Sentence | None:
    """Return the command that a tool call was made from, None if there is none."""
    known = (language.later, *language.sentences)
    return next((one for one in known if _fits(one, bare(tool), args)), None)


def command_text(
    tool: str, args: Mapping[str, Any], language: Language, *, done: bool = False
) -> str:
    """Return a tool call as a command; done: as the confirmation of that command."""
    sentence = sentence_of(tool, args, language)
    if sentence is None:
        return f"{bare(tool)} {json.dumps(args, ensure_ascii=False)}"
    text = sentence.done if done and sentence.done else sentence.say
    return text.format_map(_places(sentence, args, language))


def _fits(sentence: Sentence, tool: str, args: Mapping[str, Any]) -> bool:
    kinds = {kind.partition(".")[0] for kind in sentence.kinds}
    target = {"name": sentence.name_arg, "area": "area", "floor": "floor"}.get(sentence.target)
    return (
        sentence.tool == tool
        and (target is None or target in args)
        and (sentence.target == "name" or sentence.name_arg not in args)
        and (not kinds or "domain" not in args or kinds.issuperset(args["domain"]))
        and sentence.args.items() <= args.items()
        and all(slot in args for slot, kind in sentence.slots.items() if kind != "duration")
    )


def _places(sentence: Sentence, args: Mapping[str, Any], language: Language) -> dict[str, Any]:
    kind = ".".join(one[0] for name in ("domain", "device_class") if (one := args.get(name)))
    duration = {unit: args[unit] for unit in language.units if unit in args}
    colors = {color: word for word, color in reversed(list(language.colors.items()))}
    things = language.kinds.get(kind) or language.kinds.get(kind.partition(".")[0])
    return {
        "duration": duration_text(duration, language),
        "things": things.all if things else "",
        "name": args.get(sentence.name_arg, ""),
        **{name: f"{one:g}" if isinstance(one, float) else one for name, one in args.items()},
        "color": colors.get(args.get("color", ""), args.get("color")),
    }
