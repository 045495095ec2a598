"""The translations of the integration."""

import re

import pytest

from custom_components.llamacpp import client as server
from custom_components.llamacpp import error_messages

from .texts import LANGUAGES, texts

# Without an error of the server.
OWN = {
    "app_fault",
    "model_downloading",
    "answer_too_long",
    "model_not_loaded",
    "home_too_large",
    "tools_too_large",
    "answer_cut",
    "done",
    "not_ordered_plainly",
    "unfinished",
    "agent_required",
    "agent_unavailable",
    "agent_unknown",
    "conversation_busy",
    "conversation_closed",
    "control_not_allowed",
    "conversation_foreign",
    "conversation_not_yours",
    "conversation_unknown",
    "history_unreadable",
    "message_empty",
    "message_too_long",
    "answer_language",
    "attachment_no_image",
    "attachment_no_type",
    "attachment_not_local",
    "attachment_unavailable",
    "attachment_too_large",
    "attachment_unreadable",
    "data_does_not_fit",
    "empty_answer",
    "looked_up",
    "noise",
    "model_is_blind",
    "system_prompt_too_long",
    "too_many_tool_calls",
}
# The same word in every language, or in some that borrow it.
INTERNATIONAL = {"{name}", "House Llama", "llama-swap", "LiteLLM", "Top P", "Top K", "Min P"}
BORROWED = {"Agent", "Agents", "Assistant", "Context", "Conversation", "Conversations", "Host"}
BORROWED |= {"Message", "Model", "Name", "Port", "Problem", "Prompt", "Server", "Status", "URL"}
BORROWED |= {"Instructions", "Router", "Slots", "Temperature", "Title", "Tokens", "Token"}
BORROWED |= {"conversations"}  # fr
BORROWED |= {"Error", "Megabytes", "tokens", "tokens/s"}  # es, pt-BR
# The stem of "delete".
DELETE = {
    "cs": "smaž|smaz|odstran",
    "da": "slet",
    "de": "lösch",
    "en": "delete",
    "es": "elimin|borr",
    "fr": "supprim",
    "hu": "töröl|törl",
    "it": "elimin",
    "nl": "verwijder",
    "pl": "usu",
    "pt-BR": "exclu|apag",
    "ru": "удал",
    "sv": "ta bort|tas bort|rader",
    "zh-Hans": "删除",
}
# How much longer than English a text may be to fit on a phone: characters.
LABEL_CHARACTERS = 30
LONGER = 1.7, 16


def placeholders(text: str) -> set[str]:
    """Return the placeholders of a text."""
    return set(re.findall(r"\{(\w+)\}", text))


def test_languages() -> None:
    """English and Italian are there."""
    assert {"en", "it"} <= set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_everything(language: str) -> None:
    """Each language has the keys of English, with the same placeholders."""
    english, other = texts("en"), texts(language)
    assert english.keys() == other.keys()
    for path, text in english.items():
        assert placeholders(text) == placeholders(other[path]), path
        if language != "en" and text not in INTERNATIONAL | BORROWED:
            assert text != other[path], path


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_not_words_stays(language: str) -> None:
    """Links, code, paragraphs and lists are the same in each language, and labels stay short."""
    english, other = texts("en"), texts(language)
    for path, text in english.items():
        said = other[path]
        for pattern in (r"`([^`]*?)[A-Z]*`", r"\]\([^)]+\)", r"--[a-z-]+"):
            assert sorted(re.findall(pattern, text)) == sorted(re.findall(pattern, said)), path
        for mark in ("\n\n", "\n- ", "**"):
            assert text.count(mark) == said.count(mark), path
        assert said == said.strip()
        assert "  " not in said, path
        if len(text) <= LABEL_CHARACTERS:
            factor, more = LONGER
            assert len(said) <= factor * len(text) + more, path


@pytest.mark.parametrize("name", [one for one in server.__all__ if one.endswith("Error")])
def test_every_error_is_explained(name: str) -> None:
    """Each error of the client has a translation, for the form and for speech."""
    kind = getattr(server, name)
    err = kind("why", 3, 2) if kind is server.ContextExceededError else kind("why")
    key = error_messages.translation_key(err)
    english = texts("en")
    assert f".config.error.{key}" in english
    filled = english[f".exceptions.{key}.message"].format(
        **error_messages.translation_placeholders(err)
    )
    assert "{" not in filled


def test_no_explanation_without_an_error() -> None:
    """No translation is unused."""
    keys = {path.split(".")[2] for path in texts("en") if path.startswith(".exceptions.")}
    kinds = [getattr(server, one) for one in server.__all__ if one.endswith("Error")]
    used = {
        error_messages.translation_key(
            kind("", 1, 1) if kind is server.ContextExceededError else kind("")
        )
        for kind in kinds
    }
    assert keys == used | OWN


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_loss_of_conversations_is_told_before(language: str) -> None:
    """Adding a server and its retention form say what its removal deletes."""
    for form in (".config.step.user", ".config.step.hassio_confirm", ".options.step.init"):
        found = re.findall(DELETE[language], texts(language)[f"{form}.description"].lower())
        assert len(found) >= 2
