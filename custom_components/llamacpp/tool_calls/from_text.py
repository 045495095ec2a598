"""Extract tool calls that a model prints as text from its streamed answer."""

from typing import TYPE_CHECKING

from .text_formats import FENCE, CallReader, NotACallError, UnfinishedError
from .tool_names import ToolNames

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .text_formats import Found, PrintedCall

# Maximum length of a call in characters: no more of an answer is held back.
MAX_CHARS = 4096
# A model in a loop prints call after call.
MAX_CALLS = 32
# What may follow a call: its end mark, the end of a list or a line of code, a comma.
CLOSERS = (
    *("</tool_call>", "<|/tool_call|>", "</function_call>", "</functioncall>", "</function>"),
    *("[/TOOL_CALLS]", "<|eom_id|>", "<|eot_id|>"),
    *"}]),;",
)


class PrintedCalls:
    """Extracts the calls from one answer; the rest of the text stays unchanged.

    Holds back only text that may become a call: the beginning of one at the start of a line, or a
    call mark. The result does not depend on how the stream splits the answer.
    """

    def __init__(self, names: Iterable[str] | None) -> None:
        """Initialize for one answer.

        names: of the offered tools. None: no tools are offered, so a call needs a mark; other JSON
        may be the requested answer.
        """
        self.calls: list[PrintedCall] = []
        self._reader = CallReader(ToolNames(names or ()), needs_mark=names is None)
        self._held = ""
        self._at_line = True
        self._is_behind_call = False
        self._is_fenced = False

    def feed(self, text: str) -> str:
        """Add the next text of the stream; return the text to pass on now."""
        self._held += text
        return self._take(is_end=False)

    def end(self, *, is_cut: bool = False) -> str:
        """Return the text held back that is not a call. is_cut: the model was stopped early."""
        return self._take(is_end=True, is_cut=is_cut)

    def _take(self, *, is_end: bool, is_cut: bool = False) -> str:
        out: list[str] = []
        while self._held:
            if self._is_behind_call and not self._skip_closers():
                # At the end, an unfinished closer is dropped.
                self._held = "" if is_end else self._held
                break
            out.append(self._before_call())
            if not self._held:
                break
            try:
                found = self._read(is_end=is_end, is_cut=is_cut)
            except UnfinishedError:
                break
            if found:
                self._keep(found)
            else:
                out.append(self._cut(1))
                self._at_line = False
        return "".join(out)

    def _read(self, *, is_end: bool, is_cut: bool) -> Found | None:
        """Return the calls at the start of the held text, None if there are none.

        Raises UnfinishedError if more text is needed to decide.
        """
        text = self._held[:MAX_CHARS]
        try:
            return self._reader.read(text, at_line=self._at_line, is_fenced=self._is_fenced)
        except NotACallError:
            return None
        except UnfinishedError:
            if len(text) == MAX_CHARS:
                return None
            if is_end:
                return self._reader.read_unfinished(text, is_cut=is_cut)
            raise

    def _keep(self, found: Found) -> None:
        """Keep new calls: a model that prints a call twice means it once."""
        for call in found.calls:
            if call not in self.calls and len(self.calls) < MAX_CALLS:
                self.calls.append(call)
        self._cut(found.end)
        self._is_behind_call = self._at_line = True
        self._is_fenced |= found.is_fenced

    def _skip_closers(self) -> bool:
        """Drop closers behind a call; return whether other text follows."""
        closers = (*CLOSERS, FENCE) if self._is_fenced else CLOSERS
        while True:
            self._held = self._held.lstrip()
            closer = next((one for one in closers if self._held.startswith(one)), None)
            if closer is None:
                break
            self._cut(len(closer))
            if closer == FENCE:
                self._is_fenced = False
                closers = CLOSERS
        if any(one.startswith(self._held) for one in closers):
            return False
        self._is_behind_call = False
        return True

    def _before_call(self) -> str:
        """Take and return the text before the next possible start of a call."""
        taken = ""
        while not self._at_line and self._held:
            places = [self._held.find(one) for one in "<[\n"]
            place = min((one for one in places if one >= 0), default=len(self._held))
            self._at_line = self._held.startswith("\n", place)
            taken += self._cut(place)
            if not self._at_line:
                return taken
        return taken + self._cut(len(self._held) - len(self._held.lstrip()))

    def _cut(self, length: int) -> str:
        taken, self._held = self._held[:length], self._held[length:]
        return taken
