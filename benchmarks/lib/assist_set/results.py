"""Outcomes of the cases."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .replies import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .calls import AgentCall
    from .cases import AssistCase


@dataclass(frozen=True, slots=True)
class AfterYes:
    """The outcome of a yes to the agent's question.

    reasons: why the command did not pass then. moved: entities that changed.
    """

    reply: str
    reasons: Sequence[str] = ()
    moved: Sequence[str] = ()

    @property
    def passed(self) -> bool:
        """Return whether the command passed then."""
        return not self.reasons


@dataclass(frozen=True, slots=True)
class CaseOutcome:
    """The outcome of one case.

    reasons: why it did not pass. moved: entities that changed. by_mistake: guarded ones among them
    that are not expected to change. prompt_tokens: of each request to the server. asked: False if
    the time was up before. after_yes: None if there was no yes. faults: of the reply.
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
        """Return whether the case passed; a reply in another language is a failure."""
        return not (self.reasons or Fault.LANGUAGE in self.faults)

    @property
    def passed_after_yes(self) -> bool:
        """Return whether the agent asked back, and did the right thing after a yes."""
        return self.after_yes is not None and self.after_yes.passed

    @property
    def is_right(self) -> bool:
        """Return whether a command was done as our agent should do it.

        Immediately, or after a yes if it moves something critical.
        """
        return self.passed or (self.case.is_critical and self.passed_after_yes)

    @property
    def is_wrong_after_yes(self) -> bool:
        """Return whether the agent asked back, and moved something wrong after a yes."""
        return (
            self.after_yes is not None
            and bool(self.after_yes.moved)
            and bool(self.after_yes.reasons)
        )

    @property
    def is_wrong(self) -> bool:
        """Return whether something wrong moved."""
        return bool(self.moved and self.reasons)

    @property
    def acts(self) -> bool:
        """Return whether the agent acted: something moved, or it called a tool that acts."""
        return bool(self.moved) or any(call.acts for call in self.calls)

    @property
    def is_lost(self) -> bool:
        """Return whether a command led to nothing."""
        return self.case.is_command and not (self.passed or self.acts)

    @property
    def is_calm(self) -> bool:
        """Return whether chat or a question led to nothing, as it should."""
        return self.asked and not (self.case.is_command or self.acts)


@dataclass(frozen=True, slots=True)
class PromptSize:
    """Prompt tokens with all entities, and with one of each domain."""

    home: str
    tokens: int
    hidden_tokens: int
    hidden: int


@dataclass(slots=True)
class Column:
    """The outcomes of one agent. size: of the prompt, None if it was not measured."""

    agent: str
    outcomes: list[CaseOutcome] = field(default_factory=list)
    size: PromptSize | None = None

    @property
    def tokens_per_entity(self) -> float | None:
        """Return the prompt's tokens per entity; None if it was not measured."""
        if self.size is None:
            return None
        return (self.size.tokens - self.size.hidden_tokens) / self.size.hidden

    @property
    def calls_right(self) -> tuple[int, int]:
        """Return how many calls have only existing names, and how many reached Home Assistant."""
        reached = [call for one in self.outcomes for call in one.calls if not call.external]
        return sum(not call.wrong for call in reached), len(reached)
