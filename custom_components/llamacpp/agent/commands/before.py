"""What somebody means who only says what to do: `make it blue`."""

from typing import TYPE_CHECKING

from .said import is_any, understand
from .shortlist import Shortlist
from .verbs import Verbs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .home import Home
    from .language import Language

# So many of the user's turns before are looked at.
MAX_TURNS = 3


class Before:
    """Finds what was named before, in one home and one language."""

    def __init__(self, home: Home, language: Language) -> None:
        """Begin with a home."""
        self._home = home
        self._language = language
        self._verbs = Verbs(language)

    def is_bare(self, text: str) -> bool:
        """Tell whether it was only said what to do, and nothing at all to do it to."""
        words = understand(text, self._language).words
        return self._is_order(text) and not self._verbs.named_besides(words)

    def with_name(self, text: str, before: Sequence[str]) -> str:
        """Return what somebody says with the name of what it is about, if that was said before.

        before: what they have said until then. Not if several things were named there.
        """
        words = understand(text, self._language).words
        if not self._is_order(text) or is_any(self._language.lists["all"], words, self._language):
            return text
        found = (self._named(one) for one in before[-MAX_TURNS:][::-1])
        names = next(filter(None, found), [])
        return f"{text} {names[0]}" if len(names) == 1 else text

    def _is_order(self, text: str) -> bool:
        """Tell whether it was said what to do, and nothing of the home was named."""
        said = understand(text, self._language)
        heard = [one for one in self._verbs.heard(said.words) if one.kinds and not one.reads]
        rest = self._verbs.without_first(said.words)
        shortlist = Shortlist.of(self._home, self._language, rest)
        is_named = shortlist.things or shortlist.kinds or shortlist.areas or shortlist.floors
        return bool(heard) and not (said.is_question or said.is_chat or is_named)

    def _named(self, text: str) -> list[str]:
        words = understand(text, self._language).words
        things = Shortlist.of(self._home, self._language, words).things
        return [one.thing.name for one in things if one.is_sure or one.is_only]
