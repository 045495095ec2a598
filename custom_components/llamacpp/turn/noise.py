"""What is heard where nobody has said anything."""

import re
import unicodedata

# Sounds that people make in all languages while they think: hm, mm, äh, ah, eh, uhm, umm.
_SOUND = re.compile(r"h*m+|[aeou]+h+m*|u+m+")
_WORD = re.compile(r"[^\W_]+")


def is_noise(text: str) -> bool:
    """Tell whether a text has no letter and no digit, or only sounds that are no words."""
    # Marks above and below letters are signs of their own then.
    plain = unicodedata.normalize("NFD", text.casefold())
    folded = "".join(one for one in plain if not unicodedata.combining(one))
    return all(_SOUND.fullmatch(word) for word in _WORD.findall(folded))
