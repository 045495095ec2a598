"""Tool results as text for the model, limited in size."""

from typing import TYPE_CHECKING, Any

from homeassistant.components.conversation import ToolResultContent
from homeassistant.helpers.json import json_dumps

from .targets import LIVE_CONTEXT
from .tool_names import short_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from homeassistant.components.conversation import Content

# Characters of a result in the prompt, about 2,000 tokens.
MAX_RESULT = 8000
MAX_DEPTH = 50
CUT = "\n(Only the beginning of this result is here: it was too long. Ask for less, or say so.)"
# Characters that a value takes besides its letters.
MARKS = 2


def result_text(content: ToolResultContent) -> str:
    """Return a tool's result as JSON, or its beginning and a note that it was cut.

    The work is limited as well: the cut part is not serialized. The state of the home is never cut:
    the home is as large as it is.
    """
    data = content.result.data
    if is_of_home(content):
        return json_dumps(data)
    room = _Room(MAX_RESULT)
    text = json_dumps(room.taken(data))
    if len(text) <= MAX_RESULT and not room.is_cut:
        return text
    return text[:MAX_RESULT] + CUT


def is_of_home(content: Content) -> bool:
    """Return whether the content is the state of the home (`GetLiveContext`)."""
    return isinstance(content, ToolResultContent) and short_name(content.tool_name) == LIVE_CONTEXT


class _Room:
    """The characters left for the parts of a result.

    is_cut: the result did not fit.
    """

    def __init__(self, left: int) -> None:
        self._left = left
        self.is_cut = False

    def taken(self, value: Any, depth: int = 0) -> Any:
        """Return a value, or as much of it as fits."""
        if isinstance(value, str):
            begin = value[: self._left]
            self.is_cut |= len(begin) < len(value)
            self._take(len(begin))
            return begin
        if depth > MAX_DEPTH:
            self.is_cut = True
            return None
        if isinstance(value, dict):
            self._take()
            return dict(self._entries(value, depth))
        if isinstance(value, list | tuple | set | frozenset):
            self._take()
            return list(self._items(value, depth))
        self._take()
        return value

    def _entries(self, value: dict[Any, Any], depth: int) -> Iterator[tuple[Any, Any]]:
        for key, one in value.items():
            if self._is_full():
                return
            self._take(len(str(key)))
            yield key, self.taken(one, depth + 1)

    def _items(self, value: Iterable[Any], depth: int) -> Iterator[Any]:
        for one in value:
            if self._is_full():
                return
            yield self.taken(one, depth + 1)

    def _take(self, n_letters: int = 0) -> None:
        self._left = max(self._left - n_letters - MARKS, 0)

    def _is_full(self) -> bool:
        self.is_cut |= not self._left
        return not self._left
