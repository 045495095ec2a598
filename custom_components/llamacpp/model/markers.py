"""The markers of chat templates, such as `<|im_start|>`, in words that are not the template's.

A server makes one token of a marker wherever it stands in a prompt. In the name of a device, or in
an item of a list, it would end the message that it stands in, and begin one of another role. So it
is broken in two, by a character that nobody sees or hears.
"""

import re
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from homeassistant.helpers.json import json_dumps

if TYPE_CHECKING:
    from collections.abc import Iterable

# Stands behind the first character of a marker that is broken.
JOINER = "\u200d"
MAX_CHARS = 64
MAX_LEARNED = 256
# Of so many texts it is remembered how they are without markers.
MAX_TEXTS = 64

# Between `<` or `</` and `>`.
_TAGS = (
    # Llama 2, Mistral, Gemma, T5 and their kin, Cohere, GLM.
    *("s", "bos", "eos", "pad", "unk", "mask", "sep", "cls", "sop", "eop", "eot", "SYS"),
    *("BOS_TOKEN", "EOS_TOKEN", "PAD", "UNK", "MASK_TOKEN", r"\w{0,16}unused_?\d{1,8}"),
    r"extra_id_\d{1,8}",
    *(r"reserved_?(?:\w{1,32}_)?\d{1,8}", r"SPECIAL_\d{1,8}", r"(?:start|end)_of_\w{1,32}"),
    *("image_soft_token", r"(?:start|end)_function_\w{1,32}", "escape"),
    # Roles, as newer and older models have them.
    *("system", "user", "assistant", "developer", "model", "human", "bot"),
    # Tools and thinking: Hermes, Qwen, GLM, Granite, Llama 3.
    *("tools?", "tool_(?:call|response|result|output)s?", "available_tools?"),
    *("functions?", "function_(?:call|result|response)s?", "arg_key", "arg_value"),
    *(r"(?:function|parameter)=[^\s<>]{0,64}", "parameter"),
    *("think", "thinking", "thought", "reasoning", r"(?:seed|minimax):\w{1,32}"),
    # Pictures, and code to be filled in: StarCoder, Granite.
    *("image", "video", "audio", r"__media\w{0,48}__", r"fim_\w{1,16}", "file_sep", "repo_name"),
)
# Between `[` or `[/` and `]`: Mistral, GLM, EXAONE.
_BRACKETED = (
    *("INST", "SYSTEM_PROMPT", "AVAILABLE_TOOLS", "TOOL_CALLS", "TOOL_RESULTS", "TOOL_CONTENT"),
    *("ARGS", "CALL_ID", "THINK", "MODEL_SETTINGS", "IMG", "IMG_BREAK", "IMG_END", "BEGIN_AUDIO"),
    *("AUDIO", "TRANSCRIBE", "PREFIX", "MIDDLE", "SUFFIX", "gMASK", "BOS", "EOS", "EOT", "CLS"),
    *("SEP", "PAD", "UNK", "MASK", r"\|[^\s\[\]]{1,64}\|"),
)
# By first character, what follows it in a marker. No part can go far back: what a text costs does
# not grow faster than the text.
_GENERAL = {
    "<": (
        # `<|im_start|>`, Gemma 4's `<|turn>` and `<turn|>`, DeepSeek's with wide bars.
        r"[|\uff5c][^\s<>]{0,64}>",
        r"[^\s<>|\uff5c]{1,64}[|\uff5c]>",
        f"/?(?:{'|'.join(_TAGS)})>",
        r"</?SYS>>",
    ),
    "[": (f"/?(?:{'|'.join(_BRACKETED)})\\]",),
}
# What is found in a chat template: the texts within it, not its code.
_IN_TEMPLATE = re.compile(r"</?[^\s<>{}()'\"\\,;]{1,64}>|\[/?[A-Z][A-Z_]+\]")
_BROKEN = re.compile(rf"(?<=[!-/:-@\[-`{{-~\uff5c]){JOINER}")
_MARKER = re.compile(r"[!-/:-@\[-`{-~\uff5c]\S{1,63}")


class Markers:
    """What one model's template and tokenizer take for their own.

    Those of known families always are among them.
    """

    def __init__(self, learned: Iterable[str] = ()) -> None:
        """Know these markers as well."""
        known = {first: list(rest) for first, rest in _GENERAL.items()}
        usable = sorted(one for one in set(learned) if looks_like_marker(one))
        for one in usable[:MAX_LEARNED]:
            known.setdefault(one[0], []).append(re.escape(one[1:]))
        self._firsts = tuple(known)
        ways = (f"{re.escape(first)}(?={'|'.join(rest)})" for first, rest in known.items())
        self._beginnings = re.compile(f"(?:{'|'.join(ways)})(?!{JOINER})")
        # Most of a prompt is the same in every turn.
        self._remembered = lru_cache(maxsize=MAX_TEXTS)(self._broken)
        # The tools of the newest request, and what was made of them.
        self._tools: tuple[object, object] = (None, None)

    def broken(self, text: str) -> str:
        """Return a text without markers: they are broken. `mended` undoes that."""
        return self._remembered(text)

    def _broken(self, text: str) -> str:
        if not any(first in text for first in self._firsts):
            return text
        return self._beginnings.sub(rf"\g<0>{JOINER}", text)

    def broken_in[T](self, value: T) -> T:
        """Return messages without markers in their texts; pictures stay as they are."""
        return cast("T", self._broken_in(value))

    def broken_in_tools[T](self, tools: T) -> T:
        """Return tools without markers in their names and descriptions.

        tools: must not be changed afterwards.
        """
        if self._tools[0] is not tools:
            # Hundreds of short texts, of which hardly ever one has a marker.
            has_markers = self._beginnings.search(json_dumps(tools))
            self._tools = (tools, self.broken_in(tools) if has_markers else tools)
        return cast("T", self._tools[1])

    def _broken_in(self, value: object) -> object:
        if isinstance(value, str):
            return self.broken(value)
        if isinstance(value, list):
            return [self._broken_in(one) for one in value]
        if isinstance(value, dict):
            return {
                self._broken_in(key): one if key == "image_url" else self._broken_in(one)
                for key, one in value.items()
            }
        return value


def mended(text: str) -> str:
    """Return a text as it was before its markers were broken."""
    return _BROKEN.sub("", text) if JOINER in text else text


def mended_in[T](value: T) -> T:
    """Return what a model has written, such as the arguments of a call, with markers mended."""
    return cast("T", _mended_in(value))


def _mended_in(value: object) -> object:
    if isinstance(value, str):
        return mended(value)
    if isinstance(value, list):
        return [_mended_in(one) for one in value]
    if isinstance(value, dict):
        return {_mended_in(key): _mended_in(one) for key, one in value.items()}
    return value


def looks_like_marker(text: str) -> bool:
    """Tell whether a text can be told from ordinary words: it begins with a sign, has no spaces."""
    return _MARKER.fullmatch(text) is not None and JOINER not in text


def markers_in(template: str) -> set[str]:
    """Return what looks like a marker in the source of a chat template."""
    return set(_IN_TEMPLATE.findall(template))


GENERAL = Markers()
