"""What was said, as words that are compared with names."""

import pytest

from custom_components.llamacpp.home.words import (
    find,
    has_phrase,
    is_like,
    parts_of,
    words_of,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Turn ON the Kitchen-Light!", ("turn", "on", "the", "kitchen", "light")),
        ("Caffè d'orzo", ("caffe", "d", "orzo")),
        ("l\u2019Éclairage", ("l", "eclairage")),
        ("La Straße", ("la", "strasse")),
        ("30%", ("30", "percent")),
        ("21,5 or 2.5.", ("21,5", "or", "2.5")),
        ("Lamp 2", ("lamp", "2")),
        ("💡 Lamp_one", ("lamp", "one")),
        ("«»?!", ()),
        ("", ()),
    ],
)
def test_words(text: str, words: tuple[str, ...]) -> None:
    """Small letters without accents and signs, numbers whole."""
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("light", "lights"),
        ("lamp", "lamps"),
        ("switch", "switches"),
        ("luce", "luci"),
        ("kitchen", "kichen"),
        ("kitchen", "kitchne"),
        ("kitchen", "kitschen"),
        ("television", "televishun"),
    ],
)
def test_alike(one: str, other: str) -> None:
    """An ending or a slip does not make another word, whichever comes first."""
    assert is_like(one, other)
    assert is_like(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("on", "off"),
        ("on", "one"),
        ("fan", "tan"),
        ("lock", "unlock"),
        ("open", "close"),
        ("up", "ups"),
        ("30", "31"),
        ("lamp", "30"),
        ("bedroom", "bathroom"),
        ("kitchen", "chicken"),
        ("kitchen", ""),
    ],
)
def test_different(one: str, other: str) -> None:
    """Short words, numbers and opposites are only like themselves."""
    assert not is_like(one, other)
    assert not is_like(other, one)


def test_where_a_word_is() -> None:
    """The first word that is like it; a long one may have been said in two."""
    assert find("light", ("turn", "on", "lights", "light")) == 2
    assert find("dishwasher", ("the", "dish", "washer")) == 1
    assert find("on", ("o", "n")) is None
    assert find("light", ()) is None


def test_common_words_are_only_like_themselves() -> None:
    """What a language needs for its sentences is no slip of a name."""
    assert find("these", ("there",)) == 0
    assert find("these", ("there",), frozenset(("there",))) is None
    assert find("there", ("there",), frozenset(("there",))) == 0


def test_phrases() -> None:
    """All words in their order, perhaps with others between."""
    assert has_phrase(("turn", "off"), ("turn", "the", "light", "off"))
    assert not has_phrase(("turn", "off"), ("off", "you", "turn"))
    assert not has_phrase(("turn", "off"), ("turn", "it"))
    assert not has_phrase(("on", "on"), ("on",))


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("kuchenlampe", ("kuche", "lampe")),
        ("wohnzimmerheizung", ("wohnzimmer", "heizung")),
        ("lampe", ("lampe",)),
        ("stehlampe", ("stehlampe",)),
        ("kuchenlampen", ("kuchenlampen",)),
    ],
)
def test_words_in_one(word: str, parts: tuple[str, ...]) -> None:
    """Two known words that are written as one are taken apart, and nothing else is."""
    assert parts_of(word, {"kuche", "lampe", "wohnzimmer", "heizung"}) == parts
