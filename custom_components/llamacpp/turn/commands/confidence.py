"""Measure a model's confidence in its choice by the probabilities of its tokens."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...client import TextDelta

# ln 2: the chosen token must be twice as likely as one of another command.
MIN_MARGIN = 0.69


def is_clear(chosen: str, others: Sequence[str], tokens: Sequence[TextDelta]) -> bool:
    """Return whether no other command was nearly as likely as the chosen one.

    tokens: of the answer, with their top_logprobs. A grammar masks sampling, not logprobs:
    alternatives that start no command are skipped.
    """
    said = ""
    for token in tokens:
        rivals = [one for one in others if one.startswith(said)]
        for text, logprob in token.others:
            leads_away = text and not chosen.startswith(said + text)
            if (
                leads_away
                and token.logprob - logprob < MIN_MARGIN
                and any(one.startswith(said + text) for one in rivals)
            ):
                return False
        said += token.text
    return True
