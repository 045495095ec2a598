"""Tools for models whose chat template does not know any: in the prompt, under a grammar."""

from typing import TYPE_CHECKING, ClassVar, override

from ..prompt.messages import to_messages
from ..prompt.options import Thinking
from ..prompt.request import to_request
from .call_grammar import call_grammar
from .strategy import NativeStrategy
from .written import WrittenTools

if TYPE_CHECKING:
    from collections.abc import Sequence

    from homeassistant.components.conversation import Content

    from ..client import ChatRequest, ToolParam
    from ..prompt.request import TurnSettings
    from ..tool_calls.validator import ToolCallValidator
    from .critical import CriticalCalls
    from .strategy import Speaker


class WrittenStrategy(NativeStrategy):
    """Offers tools in the system prompt; the model writes calls into its answer.

    Critical calls are guarded as usual. The server's grammar ensures valid tools and names.
    """

    _offering: ClassVar[str] = "grammar"

    def __init__(
        self,
        tools: Sequence[ToolParam],
        validator: ToolCallValidator,
        critical: CriticalCalls | None = None,
        say: Speaker | None = None,
    ) -> None:
        """Initialize as `NativeStrategy` does."""
        super().__init__(tools, validator, critical, say)
        self._written = WrittenTools(tools)
        self._grammar = ""
        if tools:
            self.tools = [self._written.prompt]

    @override
    def _body(self, contents: Sequence[Content], settings: TurnSettings) -> ChatRequest:
        messages = to_messages(contents, settings.images)
        if not self._tools:
            return to_request(settings.for_template(messages), [], settings)
        written = settings.for_template(self._written.messages(messages))
        # A model cannot think under a grammar, and all requests must share the prompt's prefix.
        request = to_request(written, [], settings, Thinking.OFF)
        if "response_format" in request:
            # It is a grammar itself, but the model must understand its earlier calls.
            return request
        # The home and the tools stay the same for a turn.
        self._grammar = self._grammar or call_grammar(
            self._written.tools, self._validator.names(), settings.markers.broken
        )
        request["grammar"] = self._grammar
        return request
