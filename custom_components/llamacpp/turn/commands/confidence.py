"""Whether a model was sure of what it chose, by its own probabilities."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...client import TextDelta

# The logarithm of 2: what was chosen must be twice as likely as anything else.
MIN_MARGIN = 0.69


def is_clear(chosen: str, others: Sequence[str], tokens: Sequence[TextDelta]) -> bool:
    """Tell whether no other command was nearly as likely as the chosen one.

    tokens: of the answer, each with what else the model thought of at that place. A grammar only
    forbids: the probabilities are those of all words, and what begins no command is passed over.
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
