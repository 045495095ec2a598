"""Sentences that the agent says itself, in the speaker's language."""

from pathlib import Path
from typing import TYPE_CHECKING

from homeassistant.helpers.translation import async_get_translations
from homeassistant.util.language import matches

from .const import DOMAIN

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant

# Those of our translations.
LANGUAGES = sorted(one.stem for one in Path(__file__).with_name("translations").glob("*.json"))


async def async_answer_language(hass: HomeAssistant, language: str | None) -> str | None:
    """Return the instruction to answer in this language, None if it needs none.

    Models answer in English by default.
    """
    if language is None or language.partition("-")[0] == "en":
        return None
    return await async_spoken(hass, language, "answer_language", {"language": language})


async def async_spoken(
    hass: HomeAssistant, language: str, key: str, placeholders: dict[str, str] | None = None
) -> str:
    """Return a sentence of the translations' `exceptions` in the speaker's language.

    Home Assistant has the words of exactly that language, or English: `fr-CA` gets those of `fr`.
    """
    spoken = next(iter(matches(language, LANGUAGES)), language)
    translations = await async_get_translations(hass, spoken, "exceptions", [DOMAIN])
    return translations[f"component.{DOMAIN}.exceptions.{key}.message"].format(
        **(placeholders or {})
    )
