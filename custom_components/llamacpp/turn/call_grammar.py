"""The grammar for tool calls written as text: calls with valid names only, or any words.

A server samples freely while the grammar allows the token, so plain text costs nothing. The prompt
does not enumerate the names of the home: in the grammar they take no tokens.
"""

from itertools import groupby, takewhile
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from ..nlu.gbnf import quoted, writable
from ..tool_calls.text_formats import FENCE
from .deltas import MAX_CALLS
from .written import CLOSE, OPEN, UNKNOWN, written_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ..tool_calls.arguments import Schema
    from .written import WrittenTool

# (tool's full name, argument) -> the names that it can have; None: any text.
type Names = Callable[[str, str], Sequence[str] | None]

# A model must end what it begins: limits on texts, lists and numbers.
MAX_CHARACTERS = 240
MAX_ITEMS = 16
MAX_DIGITS = 9
TEXT = rf'"\"" ([^"\\\x00-\x1F] | "\\" ["\\n]){{0,{MAX_CHARACTERS}}} "\""'
# Python has no integer with a leading zero.
WHOLE = f'("0" | [1-9] [0-9]{{0,{MAX_DIGITS - 1}}})'
FRACTION = f'("." [0-9]{{1,{MAX_DIGITS}}})?'
# Plain text by state: at the start of a line, behind one or two backticks there, within a line, and
# behind one or two backticks there. No block starts within a line. `code` is the rest of a code
# block that is not `tool_code`, up to its end.
WORDS = r"""
line ::= "" | [^`\n] within | "\n" line | "`" line1
line1 ::= "" | [^`\n] within | "\n" line | "`" line2
line2 ::= "" | [^`\n] within | "\n" line | "`" block
within ::= "" | [^`\n] within | "\n" line | "`" within1
within1 ::= "" | [^`\n] within | "\n" line | "`" within2
within2 ::= "" | [^`\n] within | "\n" line
code ::= "" | [^`] code | "`" code1
code1 ::= "" | [^`] code | "`" code2
code2 ::= "" | [^`] code | "`" end
end ::= "" | "\n" line"""


def call_grammar(tools: Sequence[WrittenTool], names: Names, as_read: Callable[[str], str]) -> str:
    """Return a grammar in GBNF, llama-server's format.

    An answer is text, calls, or text and then calls. as_read: returns a text as it stands in the
    model's prompt.
    """
    rules = _Rules(names, as_read)
    call = rules.add(" | ".join(map(rules.call, tools)))
    own = OPEN.removeprefix(FENCE)
    calls = f'{quoted(own)} {call} ("\\n" {call}){{0,{MAX_CALLS - 1}}} {quoted(CLOSE)}'
    others = (f"{quoted(own[:n])} [^`{own[n]}] code" for n in range(len(own.rstrip())))
    return "\n".join(
        ("root ::= line", f"block ::= {' | '.join((calls, *others))}", *rules.lines, WORDS)
    )


class _Rules:
    """Named rules; equal rules share a name."""

    def __init__(self, names: Names, as_read: Callable[[str], str]) -> None:
        self._rules: dict[str, str] = {}
        # Cache: most tools take the same names.
        self._choices: dict[str, str] = {}
        self._names = names
        self._as_read = as_read

    @property
    def lines(self) -> Iterable[str]:
        return (f"{name} ::= {rule}" for rule, name in self._rules.items())

    def add(self, rule: str) -> str:
        """Return the name of a rule, adding it if it is new."""
        return self._rules.setdefault(rule, f"r{len(self._rules)}")

    def call(self, tool: WrittenTool) -> str:
        """Return the name of the rule for calls of a tool."""
        values = {}
        for key, schema in tool.properties.items():
            names = self._names(tool.full_name, key)
            if names or names is None or tool.is_required(key):
                values[tool.key(key)] = self._value(schema, names), tool.is_required(key)
        begin, end = tool.brackets
        return self.add(f"{quoted(tool.name + begin)} {self._entries(values)} {quoted(end)}")

    def _entries(self, values: Mapping[str, tuple[str, bool]]) -> str:
        """Return a rule for values in their order, empty if there are none.

        values: by the text before the value, its rule and whether it is required.
        """
        first = more = ""
        for key, (value, is_required) in reversed([*values.items()]):
            as_first = f"{quoted(key)} {value} {more}"
            as_next = f"{quoted(f', {key}')} {value} {more}"
            first = self.add(as_first if is_required else _or(as_first, first))
            more = self.add(as_next if is_required else _or(as_next, more))
        return first

    def _value(self, schema: Schema, names: Sequence[str] | None = None) -> str:
        """Return the name of the rule for a value. names: the valid names of its strings."""
        options = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf", ())[:1]
        if options:
            return self.add(" | ".join(self._value(one, names) for one in options))
        if choices := schema.get("enum"):
            return self._any_of(choices)
        kinds = schema.get("type") or ["string", "number", "boolean"]
        kinds = [kinds] if isinstance(kinds, str) else kinds
        return self.add(" | ".join(self._of_kind(one, schema, names) for one in kinds))

    def _of_kind(self, kind: str, schema: Schema, names: Sequence[str] | None) -> str:
        sign = "" if schema.get("minimum", -1) >= 0 else '"-"? '
        match kind:
            case "string" if names is not None:
                return self._any_of((*names, UNKNOWN))
            case "integer":
                rule = f"{sign}{WHOLE}"
            case "number":
                rule = f"{sign}{WHOLE} {FRACTION}"
            case "boolean":
                rule = '"true" | "false"'
            case "null":
                rule = '"null"'
            case "array":
                item = self._value(schema.get("items", {}), names)
                rule = f'"[" ({item} (", " {item}){{0,{MAX_ITEMS - 1}}})? "]"'
            case "object":
                rule = f'"{{" {self._properties(schema)} "}}"'
            case _:
                rule = TEXT
        return self.add(rule)

    def _any_of(self, values: Iterable[Any]) -> str:
        listed = [*values]
        known = repr(listed)
        if known not in self._choices:
            texts = (self._as_read(writable(written_value(one))) for one in listed)
            self._choices[known] = self.add(_any(texts))
        return self._choices[known]

    def _properties(self, schema: Schema) -> str:
        """Return a rule for the contents of an object."""
        required = schema.get("required", ())
        if properties := schema.get("properties"):
            values = {key: (self._value(one), key in required) for key, one in properties.items()}
            return self._entries({f"{written_value(key)}: ": one for key, one in values.items()})
        entry = self.add(f'{self.add(TEXT)} ": " {self._value({})}')
        return f'({entry} (", " {entry}){{0,{MAX_ITEMS - 1}}})?'


def _or(rule: str, other: str) -> str:
    return f"{rule} | {other}" if other else f"({rule})?"


def _any(texts: Iterable[str]) -> str:
    """Return a rule for one of these texts, as a prefix tree.

    With a flat list of a thousand names the server would try a thousand at each character.
    """
    different = sorted(set(texts))
    pairs = zip(different[0], different[-1], strict=False)
    start = "".join(one for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    rests = [one[len(start) :] for one in different]
    if len(rests) == 1:
        return quoted(start)
    ways = [_any(rest) for _, rest in groupby(filter(None, rests), itemgetter(0))]
    tree = f"({' | '.join(ways)}){'' if rests[0] else '?'}"
    return f"{quoted(start)} {tree}" if start else tree
