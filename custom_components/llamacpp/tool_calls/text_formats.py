"""Parse the formats in which models print tool calls as text."""

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from .actions import is_action, may_become_action
from .lenient_json import arguments_of, end_of_brackets, missing_brackets, value_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .tool_names import ToolNames

# Marks that stand only before calls, whatever the tool: of Qwen and Hermes, Granite and Phi,
# ChatGLM, Llama, Mistral, Glaive.
MARKS = (
    *("<tool_call>", "<|tool_call|>", "<function_call>", "<|python_tag|>", "[TOOL_CALLS]"),
    "<functioncall",
)
# This mark is closed before a call or behind it.
OPEN_MARK, MARK_END = "<functioncall", ">"
FUNCTION = "<function="
FENCE = "```"
NAME_KEYS = ("name", "function", "tool", "tool_name")
ARGUMENT_KEYS = ("arguments", "parameters", "args")
# Keys of the names of actions.
ACTION_KEYS = ("service", "action")
OTHER_KEYS = ("id", "type", "tool_calls")
KEYS = (*NAME_KEYS, *ARGUMENT_KEYS, *ACTION_KEYS, *OTHER_KEYS)

_FIRST_KEY = re.compile(r"""[\[\s]*\{\s*(?:["']([\w.\-]*)(["'])?)?""")
_FIRST_NAME = re.compile(
    rf"""[\[\s]*\{{\s*["'](?:{"|".join(NAME_KEYS)})["']\s*:\s*["']([^"']*)["']"""
)
_FIRST_ACTION = re.compile(
    rf"""[\[\s]*\{{\s*["'](?:{"|".join(ACTION_KEYS)})["']\s*:\s*["']([^"']*)["']"""
)
_NEXT_KEY = re.compile(r"""\s*(?:,\s*(?:["']([\w.\-]*)(["'])?)?)?""")
_FIRST_ARGUMENTS = re.compile(rf"""\s*,\s*["'](?:{"|".join(ARGUMENT_KEYS)})["']\s*:\s*\{{""")
_REST_OF_LINE = re.compile(r"[ \t]*(?:[\]}),;`<\n]|$)")
_IDENTIFIER = re.compile(r"[A-Za-z_][\w.\-]*")
_FENCED = re.compile(r"```[\w\-]*(\s*)")
_FUNCTION = re.compile(r"<function=([\w.\-]+)>\s*")
_FUNCTION_SO_FAR = re.compile(r"<function=[\w.\-]*>?\s*")
_PARAMETER = re.compile(r"<parameter=([\w.\-]+)>\s*(.*?)\s*</parameter>", re.DOTALL)
_FUNCTION_END = "</function>"
_BEFORE_BRACKET = re.compile(r"[^{(]*?([\w.\-]+)?>?\s*(?=[{(])")
_BEFORE_ARGUMENTS = re.compile(r"\s*(?:\[ARGS\])?\s*")


class NotACallError(Exception):
    """The text is not a call and cannot become one."""


class UnfinishedError(Exception):
    """The text may become a call."""


@dataclass(frozen=True, slots=True)
class PrintedCall:
    """A call printed by a model. arguments: JSON, or the text in its place."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Found:
    """Calls at the start of a text, and the index of their end."""

    calls: tuple[PrintedCall, ...]
    end: int
    is_fenced: bool = False


class CallReader:
    """Reads the calls at the start of a text.

    More text never changes a result: calls, none, or not yet known. Without a mark, a call needs
    the name of a known tool or action, or a name and arguments alone on a line.
    """

    def __init__(self, names: ToolNames, *, needs_mark: bool = False) -> None:
        """Initialize with the names of the offered tools. needs_mark: a call needs a mark."""
        self._names = names
        self._needs_mark = needs_mark

    def read(self, text: str, *, at_line: bool, is_fenced: bool = False) -> Found:
        """Return the calls at the start of the text, which must not be empty.

        at_line: the text starts a line; elsewhere a call needs a mark. is_fenced: the line is in a
        code block that began with a call. Raises NotACallError, and UnfinishedError if more text is
        needed to decide.
        """
        if at_line and FENCE.startswith(text[: len(FENCE)]):
            return self._fenced(text)
        if at_line or _may_begin(text, (*MARKS, FUNCTION)):
            return self._body(text, 0, is_line=at_line, is_loose=is_fenced)
        raise NotACallError

    def read_unfinished(self, text: str, *, is_cut: bool) -> Found | None:
        """Return the call in a text that ends before the call does, None if there is none.

        is_cut: the model was stopped early, so more than closing brackets may be missing.
        """
        closing = "" if is_cut else missing_brackets(text)
        if closing is not None:
            closing += _FUNCTION_END if "<parameter=" in text and not is_cut else ""
            try:
                # The end of the text ends the line, too.
                return Found(self.read(f"{text}{closing}\n", at_line=True).calls, len(text))
            except NotACallError, UnfinishedError:
                pass
        match = _BEFORE_BRACKET.match(text)
        if match is None:
            return None
        written, begin = match.group(1), match.end()
        name = self._first_name(text[begin:]) or self._called(written or "")
        return Found((PrintedCall(name, text[begin:]),), len(text)) if name else None

    def _fenced(self, text: str) -> Found:
        match = _FENCED.match(text)
        if match is None:
            raise UnfinishedError
        if match.end() == len(text):
            raise UnfinishedError
        start = match.end() if match.group(1) else len(FENCE)
        found = self._body(text, start, is_line=True, is_loose=True)
        return Found(found.calls, found.end, is_fenced=True)

    def _body(self, text: str, start: int, *, is_line: bool, is_loose: bool) -> Found:
        """Read calls behind any number of marks.

        is_line: no mark is needed. is_loose: other names may precede the tool's, as in
        `print(tools.HassTurnOn(...))`.
        """
        is_marked = is_open = False
        while True:
            start += len(text[start:]) - len(text[start:].lstrip())
            mark = next((one for one in MARKS if text.startswith(one, start)), None)
            if mark is None:
                break
            start, is_marked = start + len(mark), True
            is_open = mark == OPEN_MARK and not text.startswith(MARK_END, start)
            start += mark == OPEN_MARK and not is_open
        rest = text[start:]
        if rest.startswith(FUNCTION):
            return self._function(text, start)
        if not rest or _may_begin(rest, (*MARKS, FUNCTION)):
            raise UnfinishedError
        if not is_marked and (self._needs_mark or not is_line):
            raise NotACallError
        if rest[0] == "[":
            inner = rest[1:].lstrip()
            if not inner:
                raise UnfinishedError
            if inner[0] != "{":
                start = text.index(inner[0], start + 1)
        if text[start] in "[{":
            found = self._json(text, start, is_marked=is_marked)
            return _with_mark_end(text, found) if is_open else found
        return self._python(text, start, is_marked=is_marked, is_loose=is_loose or is_marked)

    def _json(self, text: str, start: int, *, is_marked: bool) -> Found:
        self._check_first_key(text[start:], is_marked=is_marked)
        end = end_of_brackets(text, start)
        if end is None:
            raise UnfinishedError
        written = text[start:end]
        try:
            found = list(_calls_in(value_of(written)))
        except ValueError:
            name = self._first_name(written)
            if name is None:
                raise NotACallError from None
            return Found((PrintedCall(name, written),), end)
        if not found:
            raise NotACallError
        if not (is_marked or any(self._is_known(one.name) for one in found)):
            _check_alone(text, end, found)
        return Found(tuple(self._call(one.name, one.arguments) for one in found), end)

    def _check_first_key(self, text: str, *, is_marked: bool) -> None:
        """Raise NotACallError if the first key, or the name under it, is not that of a call."""
        match = _FIRST_KEY.match(text)
        if match is None:
            raise NotACallError
        key, quote = match.groups()
        if key is None or not quote:
            if match.end() < len(text):
                raise NotACallError
            if key is not None and not (_may_begin(key, KEYS) or self._may_be_known(key)):
                raise NotACallError
        elif key not in KEYS and not self._is_known(key):
            raise NotACallError
        if is_marked:
            return
        action = _FIRST_ACTION.match(text)
        name = _FIRST_NAME.match(text)
        if action and not is_action(action.group(1)):
            raise NotACallError
        if name and not self._is_known(name.group(1)):
            _check_next_key(text, name.end())

    def _is_known(self, name: str) -> bool:
        return is_action(name) or self._names.find(name) is not None

    def _may_be_known(self, text: str) -> bool:
        return may_become_action(text) or self._names.may_become(text)

    def _python(self, text: str, start: int, *, is_marked: bool, is_loose: bool) -> Found:
        if start == len(text):
            raise UnfinishedError
        match = _IDENTIFIER.match(text, start)
        if match is None:
            raise NotACallError
        written, end = match.group(), match.end()
        if end == len(text):
            if is_loose or self._may_be_known(written):
                raise UnfinishedError
            raise NotACallError
        if text[end] != "(":
            if is_marked:
                return self._named_json(text, written, end)
            raise NotACallError
        if written == "print" and is_loose:
            return self._python(text, end + 1, is_marked=is_marked, is_loose=is_loose)
        name = self._called(written) if is_loose else self._names.find(written)
        if name is None and not (is_marked or is_action(written)):
            raise NotACallError
        return self._with_arguments(text, name or written, end)

    def _with_arguments(self, text: str, name: str, start: int) -> Found:
        """Read the arguments of a Python call."""
        end = end_of_brackets(text, start)
        if end is None:
            raise UnfinishedError
        written = text[start:end]
        try:
            return Found((self._call(name, arguments_of(written)),), end)
        except ValueError:
            return Found((PrintedCall(name, written),), end)

    def _named_json(self, text: str, name: str, start: int) -> Found:
        """Read a name and its arguments in JSON: Mistral's newer format."""
        between = _BEFORE_ARGUMENTS.match(text, start)
        begin = between.end() if between else start
        if begin == len(text) or "[ARGS]".startswith(text[begin:]):
            raise UnfinishedError
        if text[begin] != "{":
            raise NotACallError
        end = end_of_brackets(text, begin)
        if end is None:
            raise UnfinishedError
        return Found((PrintedCall(self._names.find(name) or name, text[begin:end]),), end)

    def _function(self, text: str, start: int) -> Found:
        """Read a name in a tag, and arguments in JSON or in tags: Llama's and Qwen's format."""
        so_far = _FUNCTION_SO_FAR.match(text, start)
        if so_far is None or so_far.end() == len(text):
            raise UnfinishedError
        match = _FUNCTION.match(text, start)
        if match is None:
            raise NotACallError
        name, begin = match.group(1), match.end()
        if text[begin] == "{":
            end = end_of_brackets(text, begin)
            if end is None:
                raise UnfinishedError
            return Found((PrintedCall(self._names.find(name) or name, text[begin:end]),), end)
        rest = text[begin:]
        if not rest.startswith("<parameter=") and not rest.startswith(_FUNCTION_END):
            if _may_begin(rest, ("<parameter=", _FUNCTION_END)):
                raise UnfinishedError
            raise NotACallError
        end = text.find(_FUNCTION_END, begin)
        if end < 0:
            raise UnfinishedError
        arguments = dict(_PARAMETER.findall(text[begin:end]))
        return Found((self._call(name, arguments),), end)

    def _first_name(self, text: str) -> str | None:
        """Return the name at the start of a call with unreadable arguments, else None."""
        match = _FIRST_NAME.match(text)
        if match is None:
            return None
        name = match.group(1)
        is_call = is_action(name) or _FIRST_ARGUMENTS.match(text, match.end())
        return self._names.find(name) or (name if is_call else None)

    def _called(self, written: str) -> str | None:
        """Return the tool of a Python call, by its name alone or behind names of modules."""
        return self._names.find(written) or self._names.find(
            written.removesuffix(".call").rpartition(".")[2]
        )

    def _call(self, name: str, arguments: Any) -> PrintedCall:
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments or {}, sort_keys=True)
        return PrintedCall(self._names.find(name) or name, arguments)


def _may_begin(text: str, forms: tuple[str, ...]) -> bool:
    """Return whether the text starts with one of the forms, or is the start of one."""
    return any(text.startswith(one) or one.startswith(text) for one in forms)


def _check_next_key(text: str, place: int) -> None:
    """Raise NotACallError if no arguments can follow the name that ends at `place`."""
    match = _NEXT_KEY.match(text, place)
    end = match.end() if match else place
    key, quote = match.groups() if match else (None, None)
    if quote:
        if key not in KEYS:
            raise NotACallError
    elif end < len(text) or (key is not None and not _may_begin(key, KEYS)):
        raise NotACallError


def _check_alone(text: str, end: int, calls: list[_Call]) -> None:
    """Raise NotACallError unless the calls have arguments and are alone on their line.

    end: index of their end. Raises UnfinishedError if more text is needed to decide.
    """
    rest = _REST_OF_LINE.match(text, end)
    if rest is None or not all(one.is_complete for one in calls):
        raise NotACallError
    if rest.end() == len(text) and not rest.group().strip(" \t"):
        raise UnfinishedError


def _with_mark_end(text: str, found: Found) -> Found:
    """Extend the calls by the end of their mark, if it follows. Raises UnfinishedError."""
    rest = text[found.end :].lstrip(" \t")
    if not rest:
        raise UnfinishedError
    return replace(found, end=len(text) - len(rest) + 1) if rest.startswith(MARK_END) else found


class _Call(NamedTuple):
    """A call as printed. is_complete: it has arguments, under one of `ARGUMENT_KEYS`."""

    name: str
    arguments: Any
    is_complete: bool = False


def _calls_in(value: Any) -> Iterator[_Call]:
    """Yield the calls in a parsed value. Raises ValueError for anything else."""
    if isinstance(value, dict) and isinstance(value.get("tool_calls"), list):
        value = value["tool_calls"]
    if isinstance(value, list):
        for one in value:
            yield from _calls_in(one)
        return
    if isinstance(value, dict) and isinstance(value.get("function"), dict):
        value = value["function"]
    if not isinstance(value, dict):
        raise ValueError("This is no call")  # noqa: TRY004 - the text is invalid, not a type
    name = _name_in(value)
    if name is None:
        if len(value) == 1 and isinstance(arguments := next(iter(value.values())), dict):
            yield _Call(next(iter(value)), arguments)
            return
        raise ValueError("There is no name")
    arguments = next((value[key] for key in ARGUMENT_KEYS if key in value), None)
    is_complete = isinstance(arguments, dict)
    if arguments is None:
        arguments = {key: one for key, one in value.items() if key not in KEYS}
    yield _Call(name, arguments, is_complete)


def _name_in(value: dict[str, Any]) -> str | None:
    names = [value[key] for key in ACTION_KEYS if is_action(value.get(key))]
    names += [value[key] for key in NAME_KEYS if isinstance(value.get(key), str)]
    return names[0] if names else None
