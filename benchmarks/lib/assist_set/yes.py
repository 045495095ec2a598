"""Questions that an agent asks back, and the answer to them that lets it go on."""

from custom_components.llamacpp.agent.commands.language import load

# As they end a question: in Latin, full width, Arabic and Greek.
QUESTION_MARKS = ("?", "？", "؟", ";", "\N{GREEK QUESTION MARK}")  # noqa: RUF001 - other scripts' marks
CLOSING = " \t\n\"'»”’)"  # noqa: RUF001 - quotation marks


def word_for_yes(language: str) -> str | None:
    """Return what means yes in a language, by its code; None if we have no word for it.

    Reads files; may take seconds.
    """
    words = load(language).lists["yes"]
    return " ".join(words[0]) if words else None


def is_question(reply: str) -> bool:
    """Tell whether a reply ends as a question."""
    return reply.rstrip(CLOSING).endswith(QUESTION_MARKS)
