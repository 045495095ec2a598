"""Break markers of chat templates, such as `<|im_start|>`, in text from elsewhere.

A server turns a marker into one token wherever it is in a prompt. In a device's name or a list item
it would end the message and start one of another role. So an invisible and inaudible character
splits it in two.
"""

import re
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from homeassistant.helpers.json import json_dumps

if TYPE_CHECKING:
    from collections.abc import Iterable

# Inserted behind the first character of a marker to break it.
JOINER = "\u200d"
MAX_LEARNED = 256
# Size of the cache of texts with broken markers.
MAX_TEXTS = 64

# Between `<` or `</` and `>`.
_TAGS = (
    # Llama 2, Mistral, Gemma, T5 and relatives, Cohere, GLM.
    *("s", "bos", "eos", "pad", "unk", "mask", "sep", "cls", "sop", "eop", "eot", "SYS"),
    *("BOS_TOKEN", "EOS_TOKEN", "PAD", "UNK", "MASK_TOKEN", r"\w{0,16}unused_?\d{1,8}"),
    r"extra_id_\d{1,8}",
    *(r"reserved_?(?:\w{1,32}_)?\d{1,8}", r"SPECIAL_\d{1,8}", r"(?:start|end)_of_\w{1,32}"),
    *("image_soft_token", r"(?:start|end)_function_\w{1,32}", "escape"),
    # Roles of newer and older models.
    *("system", "user", "assistant", "developer", "model", "human", "bot"),
    # Tools and thinking: Hermes, Qwen, GLM, Granite, Llama 3.
    *("tools?", "tool_(?:call|response|result|output)s?", "available_tools?"),
    *("functions?", "function_(?:call|result|response)s?", "arg_key", "arg_value"),
    *(r"(?:function|parameter)=[^\s<>]{0,64}", "parameter"),
    *("think", "thinking", "thought", "reasoning", r"(?:seed|minimax):\w{1,32}"),
    # Images, and fill-in-the-middle code: StarCoder, Granite.
    *("image", "video", "audio", r"__media\w{0,48}__", r"fim_\w{1,16}", "file_sep", "repo_name"),
)
# Between `[` or `[/` and `]`: Mistral, GLM, EXAONE.
_BRACKETED = (
    *("INST", "SYSTEM_PROMPT", "AVAILABLE_TOOLS", "TOOL_CALLS", "TOOL_RESULTS", "TOOL_CONTENT"),
    *("ARGS", "CALL_ID", "THINK", "MODEL_SETTINGS", "IMG", "IMG_BREAK", "IMG_END", "BEGIN_AUDIO"),
    *("AUDIO", "TRANSCRIBE", "PREFIX", "MIDDLE", "SUFFIX", "gMASK", "BOS", "EOS", "EOT", "CLS"),
    *("SEP", "PAD", "UNK", "MASK", r"\|[^\s\[\]]{1,64}\|"),
)
# First character of a marker to patterns of the rest. No pattern can backtrack far: the cost is
# linear in the length of the text.
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
# Finds markers in a chat template: its literal text, not its code.
_IN_TEMPLATE = re.compile(r"</?[^\s<>{}()'\"\\,;]{1,64}>|\[/?[A-Z][A-Z_]+\]")
_BROKEN = re.compile(rf"(?<=[!-/:-@\[-`{{-~\uff5c]){JOINER}")
_MARKER = re.compile(r"[!-/:-@\[-`{-~\uff5c]\S{1,63}")


class Markers:
    """Markers of one model's chat template and tokenizer.

    Always includes those of known model families.
    """

    def __init__(self, learned: Iterable[str] = ()) -> None:
        """Initialize with further markers."""
        known = {first: list(rest) for first, rest in _GENERAL.items()}
        usable = sorted(one for one in set(learned) if looks_like_marker(one))
        for one in usable[:MAX_LEARNED]:
            known.setdefault(one[0], []).append(re.escape(one[1:]))
        self._firsts = tuple(known)
        ways = (f"{re.escape(first)}(?={'|'.join(rest)})" for first, rest in known.items())
        self._beginnings = re.compile(f"(?:{'|'.join(ways)})(?!{JOINER})")
        # Most of a prompt stays the same from turn to turn.
        self._remembered = lru_cache(maxsize=MAX_TEXTS)(self._broken)
        # The tools of the last request, and the same with broken markers.
        self._tools: tuple[object, object] = (None, None)

    def broken(self, text: str) -> str:
        """Return a text with all markers broken. `mended` is the reverse."""
        return self._remembered(text)

    def _broken(self, text: str) -> str:
        if not any(first in text for first in self._firsts):
            return text
        return self._beginnings.sub(rf"\g<0>{JOINER}", text)

    def broken_in[T](self, value: T) -> T:
        """Return messages with all markers in their text broken; images stay unchanged."""
        return cast("T", self._broken_in(value))

    def broken_in_tools[T](self, tools: T) -> T:
        """Return tools with all markers in their names and descriptions broken.

        tools: must not change afterwards, as the result is cached by identity.
        """
        if self._tools[0] is not tools:
            # Hundreds of short texts, hardly ever with a marker.
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
    """Return a text as it was before `broken`."""
    return _BROKEN.sub("", text) if JOINER in text else text


def mended_in[T](value: T) -> T:
    """Return model output, such as the arguments of a call, with its markers mended."""
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
    """Return whether a text can be a marker: it starts with a symbol and has no spaces."""
    return _MARKER.fullmatch(text) is not None and JOINER not in text


def markers_in(template: str) -> set[str]:
    """Return the potential markers in the source of a chat template."""
    return set(_IN_TEMPLATE.findall(template))


GENERAL = Markers()
