"""Calls read as the commands that they were made from, in every language."""

import pytest

from custom_components.llamacpp.home.language import FOLDER, load
from custom_components.llamacpp.home.spoken import bare, command_text, sentence_of

from .homes import parts_of

CODES = sorted(path.stem for path in FOLDER.glob("*.json"))
WORDS = (
    *("turn on the kettle", "turn off the stove lamp", "dim the stove lamp to 30 percent"),
    *("make the floor lamp blue", "set the radiator to 21.5 degrees", "close the roller blind"),
    *("open the garage door", "lock the front door", "unlock the front door"),
    *("close the garden tap", "turn up the telly", "turn down the telly", "pause the telly"),
    *("activate cosy evening", "turn off all lights in the kitchen", "turn off all the lights"),
    *("turn on all lights upstairs", "close the blinds in the bedroom"),
    *("add oat milk to the shopping list", "what is on the shopping list"),
    *("start a timer of ten minutes", "cancel all timers", "set the roller blind to half"),
    "set the speed of the bedroom fan to 66 percent",
)


@pytest.mark.parametrize("words", WORDS)
def test_a_call_is_its_command_again(words: str) -> None:
    """What the model chose is what it reads afterwards, and what is told when it has worked."""
    language = load("en")
    found = [one for part in parts_of(words) for one in part if one.is_heard]
    assert found
    for command in found:
        assert command_text(command.tool, command.args, language) == command.text
        done = command_text(command.tool, command.args, language, done=True)
        assert done == (command.done or command.text)


@pytest.mark.parametrize("code", CODES)
def test_every_call_has_words(code: str) -> None:
    """Each form of command of a language is found by the call that it makes, without a gap."""
    language = load(code)
    for sentence in language.sentences:
        for kind in sorted(sentence.kinds) or [""]:
            args = {**sentence.args}
            if kind:
                args["domain"] = [kind.partition(".")[0]]
            if sentence.target in ("area", "floor"):
                args[sentence.target] = "Somewhere"
            if sentence.target == "name":
                args[sentence.name_arg] = "Something"
            for slot, value in sentence.slots.items():
                args |= {"minutes": 5} if value == "duration" else {slot: "7"}
            found = sentence_of(f"space__{sentence.tool}", args, language)
            assert found is not None
            assert found.tool == sentence.tool
            assert found.target == sentence.target
            assert set(found.slots) == set(sentence.slots)
            for done in (False, True):
                text = command_text(f"space__{sentence.tool}", args, language, done=done)
                assert "{" not in text
                assert sentence.target != "name" or "Something" in text


def test_a_call_without_words() -> None:
    """What no sentence is about is shown as it is."""
    assert bare("my__space__fly") == "fly"
    assert sentence_of("my__fly", {}, load("en")) is None
    assert command_text("my__fly", {"to": "Überall"}, load("en")) == 'fly {"to": "Überall"}'
