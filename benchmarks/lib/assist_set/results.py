"""What came of the cases."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .replies import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .calls import AgentCall
    from .cases import AssistCase


@dataclass(frozen=True, slots=True)
class AfterYes:
    """What came of a command that the agent asked back about, when it was told yes.

    reasons: why it did not pass then. moved: entities that are not what they were.
    """

    reply: str
    reasons: Sequence[str] = ()
    moved: Sequence[str] = ()

    @property
    def passed(self) -> bool:
        """Tell whether the command was done then."""
        return not self.reasons


@dataclass(frozen=True, slots=True)
class CaseOutcome:
    """What came of one case.

    reasons: why it did not pass. moved: entities that are not what they were. by_mistake: guarded
    ones of them that the sentence was not about.
    prompt_tokens: of each request to the server. asked: False where the time was up before.
    after_yes: None where nobody said yes. faults: what is surely wrong with the reply.
    """

    case: AssistCase
    reply: str = ""
    reasons: Sequence[str] = ()
    moved: Sequence[str] = ()
    by_mistake: Sequence[str] = ()
    calls: Sequence[AgentCall] = ()
    prompt_tokens: Sequence[int] = ()
    seconds: float = 0.0
    asked: bool = True
    after_yes: AfterYes | None = None
    faults: Sequence[Fault] = ()

    @property
    def passed(self) -> bool:
        """Tell whether the case passed; what is said in another language is not right."""
        return not (self.reasons or Fault.LANGUAGE in self.faults)

    @property
    def passed_after_yes(self) -> bool:
        """Tell whether the agent asked back, and did the right thing after a yes."""
        return self.after_yes is not None and self.after_yes.passed

    @property
    def is_right(self) -> bool:
        """Tell whether a command was done as our agent is to do it.

        At once, or after a yes where it moves something critical: that is to be asked about.
        """
        return self.passed or (self.case.is_critical and self.passed_after_yes)

    @property
    def is_wrong_after_yes(self) -> bool:
        """Tell whether the agent asked back, and moved something wrong after a yes."""
        return (
            self.after_yes is not None
            and bool(self.after_yes.moved)
            and bool(self.after_yes.reasons)
        )

    @property
    def is_wrong(self) -> bool:
        """Tell whether something moved that was not to, or not so."""
        return bool(self.moved and self.reasons)

    @property
    def acts(self) -> bool:
        """Tell whether something was done: something moved, or a tool was called that acts."""
        return bool(self.moved) or any(call.acts for call in self.calls)

    @property
    def is_lost(self) -> bool:
        """Tell whether a command led to nothing."""
        return self.case.is_command and not (self.passed or self.acts)

    @property
    def is_calm(self) -> bool:
        """Tell whether chat or a question led to nothing, as it should."""
        return self.asked and not (self.case.is_command or self.acts)


@dataclass(frozen=True, slots=True)
class PromptSize:
    """How much longer a prompt is with all entities than with one of each domain."""

    home: str
    tokens: int
    hidden_tokens: int
    hidden: int


@dataclass(slots=True)
class Column:
    """All that is known of one agent. size: of the prompt, None if nothing was measured."""

    agent: str
    outcomes: list[CaseOutcome] = field(default_factory=list)
    size: PromptSize | None = None

    @property
    def tokens_per_entity(self) -> float | None:
        """Return the prompt's tokens for each entity; None if nothing was measured."""
        if self.size is None:
            return None
        return (self.size.tokens - self.size.hidden_tokens) / self.size.hidden

    @property
    def calls_right(self) -> tuple[int, int]:
        """Return how many calls named what is there, of how many that reached Home Assistant."""
        reached = [call for one in self.outcomes for call in one.calls if not call.external]
        return sum(not call.wrong for call in reached), len(reached)
