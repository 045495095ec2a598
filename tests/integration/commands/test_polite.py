"""Orders in polite words that are not the usual ones, and what only sounds like them.

`polite/` has sentences for each language, for a kettle: what switches it off (`done`), and what
must not (`never`).
"""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from custom_components.llamacpp.home.language import FOLDER, load
from custom_components.llamacpp.nlu.candidates import Candidates
from custom_components.llamacpp.nlu.interpret import Interpreter

from .homes import DECLARED, HOME

if TYPE_CHECKING:
    from custom_components.llamacpp.nlu.interpret import Meaning

POLITE = Path(__file__).with_name("polite")
CODES = sorted(path.stem for path in FOLDER.glob("*.json"))


def said(code: str) -> dict[str, list[str]]:
    """Return the sentences of a language."""
    found: dict[str, list[str]] = yaml.safe_load((POLITE / f"{code}.yaml").read_text("utf-8"))
    return found


def meaning(text: str, code: str) -> Meaning:
    """Return what a text means in the home of these tests."""
    language = load(code)
    return Interpreter(Candidates(HOME, language, DECLARED), language).meaning(text)


@pytest.mark.parametrize("code", CODES)
def test_a_polite_order(code: str) -> None:
    """It is done like a plain one."""
    wrong = {}
    for text in said(code)["done"]:
        meant = meaning(text, code)
        calls = [(part[0].tool, part[0].args.get("name")) for part in meant.parts]
        if not meant.is_plain or calls != [("test__HassTurnOff", "Kettle")]:
            wrong[text] = calls
    assert not wrong


@pytest.mark.parametrize("code", CODES)
def test_what_only_sounds_polite(code: str) -> None:
    """What others wish, what was, what is asked about, and what would be too bad is not done."""
    assert not [text for text in said(code)["never"] if meaning(text, code).is_plain]
