"""Detect transcripts of noise."""

import re
import unicodedata

# Filler sounds common to all languages: hm, mm, äh, ah, eh, uhm, umm.
_SOUND = re.compile(r"h*m+|[aeou]+h+m*|u+m+")
_WORD = re.compile(r"[^\W_]+")


def is_noise(text: str) -> bool:
    """Return whether a text has no letter and no digit, or only filler sounds."""
    # NFD splits accents off as separate characters.
    plain = unicodedata.normalize("NFD", text.casefold())
    folded = "".join(one for one in plain if not unicodedata.combining(one))
    return all(_SOUND.fullmatch(word) for word in _WORD.findall(folded))
