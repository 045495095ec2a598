"""The words of the app's page, in all its languages."""

import json
import re
from pathlib import Path

import hass_frontend
import pytest

from tests.app.running_app import ROOT

WEB = ROOT / "addon" / "llamacpp_app" / "web"
LANGUAGES = sorted(path.stem for path in (WEB / "texts").iterdir())
SOURCES = [path.read_text() for path in sorted(WEB.glob("*.*")) if path.suffix in (".js", ".html")]
# Keys that are put together: what begins them.
PARTS = ("error_", "home_", "idea_", "model_", "status_")
# The same in every language, or in some that borrow it.
INTERNATIONAL = {
    "Home Assistant",
    "{n} s",
    "{n} min",
    "Chat",
    "Log",
    "Model",
    "{n} tokens",
    "{n} tokens/s",
}
BORROWED = {
    "da": {"Send", "Stop"},
    "de": {"Downloads", "Name"},
    "fr": {"Message", "Suggestions"},
    "nl": {"Context"},
}
WIDE_QUESTION_MARK = "\N{FULLWIDTH QUESTION MARK}"
# How much longer than the English text a text may be, so that it fits on a phone: characters.
LABEL_CHARACTERS = 30
LONGER = 1.7, 16


def texts(language: str) -> dict[str, str]:
    """Return the texts of a language by their keys."""
    found: dict[str, str] = json.loads((WEB / "texts" / f"{language}.json").read_text())
    return found


def test_languages() -> None:
    """The page knows each file, and has the languages of the options and of the integration."""
    (listed,) = re.findall(r"const LANGUAGES = (\[[^]]+\]);", (WEB / "texts.js").read_text())
    assert sorted(json.loads(listed)) == LANGUAGES
    options = ROOT / "addon" / "translations"
    integration = ROOT / "custom_components" / "llamacpp" / "translations"
    assert sorted(path.stem for path in options.glob("*.yaml")) == LANGUAGES
    assert sorted(path.stem for path in integration.glob("*.json")) == LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_everything(language: str) -> None:
    """Each has the texts that English has, in this order, with the same placeholders."""
    english, other = texts("en"), texts(language)
    assert list(other) == sorted(english)
    for key, text in english.items():
        said = other[key]
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", said)), key
        if language != "en" and text not in INTERNATIONAL | BORROWED.get(language, set()):
            assert said != text, key


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_not_words_stays(language: str) -> None:
    """Names, ports and options are the same in each language, and labels stay short."""
    english, other = texts("en"), texts(language)
    for key, text in english.items():
        said = other[key]
        for pattern in (r"[a-z]+_[a-z]+", r"Q4_K_M", r"\.gguf", r"\d{4}", r"House Llama", r" > "):
            assert len(re.findall(pattern, text)) == len(re.findall(pattern, said)), key
        assert said == said.strip()
        assert "  " not in said, key
        # A sentence ends as one.
        assert (text[-1] in ".?") == (said[-1] in f".?。{WIDE_QUESTION_MARK}"), key
        if len(text) <= LABEL_CHARACTERS:
            factor, more = LONGER
            assert len(said) <= factor * len(text) + more, key


def test_no_text_is_left_over() -> None:
    """Each text is asked for, and each that is asked for is there."""
    keys, source = set(texts("en")), "".join(SOURCES)
    asked = set(re.findall(r'(?:\btext\(|data-text=)"(\w+)"', source))
    assert asked <= keys
    for key in keys - asked:
        assert key.startswith(PARTS) or f'"{key}"' in source, key


@pytest.mark.parametrize("language", LANGUAGES)
def test_home_assistants_words(language: str) -> None:
    """What Home Assistant has a word for is called so."""
    known, said = frontend(language), texts(language)
    for key in ("assist", "cancel", "copy", "key_send", "log", "model_name"):
        assert said[key] in known.values(), key
    way = (known["panel.config"], known["ui.panel.config.dashboard.devices.main"])
    assert " > ".join(way) in said["home_missing"]


def frontend(language: str) -> dict[str, str]:
    """Return the texts of Home Assistant's user interface in a language by their keys."""
    folder = Path(hass_frontend.__file__).parent / "static" / "translations"
    found: dict[str, str] = {}
    for path in folder.rglob("*.json"):
        if re.fullmatch(rf"{language}-[0-9a-f]{{32}}", path.stem):
            found |= json.loads(path.read_text())
    return found
