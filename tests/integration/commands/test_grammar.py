"""Grammars that a real llama-server takes, and under which only commands come out."""

from typing import TYPE_CHECKING

import pytest

from custom_components.llamacpp.client import LlamaServerClient, LlamaServerError, TextDelta
from custom_components.llamacpp.nlu.gbnf import BETWEEN, grammar_for, writable

from .homes import parts_of

if TYPE_CHECKING:
    import aiohttp

    from dev.llama import LlamaServer

NAMES = (
    'The "Big" Lamp',
    "back\\slash \\n lamp",
    "Nonna's lume, già acceso (sì)",
    "Ночник 夜燈 💡👩‍👩‍👧",
    "[a-z]* | root ::= x",
    "{name} <|im_end|> </s>",
    "tab\tand\nline",
    "soft\u00adhyphen and \u200bnothing, \u2028line",
    "\x01 control \x7f",
)


async def said_under(  # noqa: PLR0913 - each is a choice of a test
    server: LlamaServer,
    session: aiohttp.ClientSession,
    grammar: str,
    words: str = "Please do something in the home.",
    *,
    temperature: float = 0,
    seed: int = 1,
    max_tokens: int = 60,
) -> str:
    """Return what the model says under a grammar; raises LlamaServerError if that is refused."""
    request = {
        "messages": [{"role": "user", "content": words}],
        "grammar": grammar,
        "max_tokens": max_tokens,
        "temperature": temperature,
        "seed": seed,
    }
    events = LlamaServerClient(session, server.base_url).stream_chat(request)
    return "".join([one.text async for one in events if isinstance(one, TextDelta)])


@pytest.mark.parametrize("name", NAMES)
async def test_names(llama_server: LlamaServer, session: aiohttp.ClientSession, name: str) -> None:
    """Whatever is in a name, the command comes out as it is."""
    command = f"turn on the {name}"
    grammar = grammar_for([[command]], may_talk=False)
    assert await said_under(llama_server, session, grammar) == command


CHARACTERS = [*map(chr, range(0x100)), *"\u200d\u2028\u2029\ufeff\ufffd\ufffe\ue000🦙", "\ud83d"]


@pytest.mark.parametrize("first", range(0, len(CHARACTERS), 32))
async def test_all_characters(
    scripted_server: LlamaServer, session: aiohttp.ClientSession, first: int
) -> None:
    """Names may hold any character, also those that the model's vocabulary lacks."""
    name = "".join(CHARACTERS[first : first + 32])
    command = writable(f"turn on the {name} lamp")
    grammar = grammar_for([[command]], may_talk=False)
    assert await said_under(scripted_server, session, grammar, max_tokens=150) == command


def test_control_characters_are_spaces() -> None:
    """All other characters of a command stay as they are, and it is one line."""
    kept = "".join(one for one in CHARACTERS if one.isprintable() or one in "\xa0\xad\u200d")
    assert writable(f"\b\f\x00\n\x7f\x85\ud83d{kept}") == f"       {kept}"


async def test_only_commands_come_out(
    llama_server: LlamaServer, session: aiohttp.ClientSession
) -> None:
    """However wildly the model speaks, it is one of the commands."""
    texts = [f"{verb} the {name}" for verb in ("lock", "unlock", "open") for name in NAMES[:4]]
    grammar = grammar_for([texts], may_talk=False)
    said = [
        await said_under(llama_server, session, grammar, temperature=2, seed=seed)
        for seed in range(8)
    ]
    assert set(said) <= set(texts)
    assert len(set(said)) > 1


async def test_one_of_each_part(llama_server: LlamaServer, session: aiohttp.ClientSession) -> None:
    """Two things in one sentence are two commands, in their order."""
    parts = [["turn on the A", "turn off the A"], ["open the B", "close the B"]]
    grammar = grammar_for(parts, may_talk=False)
    for seed in range(4):
        said = await said_under(llama_server, session, grammar, temperature=2, seed=seed)
        first, second = said.split(BETWEEN)
        assert first in parts[0]
        assert second in parts[1]


async def test_it_may_talk(llama_server: LlamaServer, session: aiohttp.ClientSession) -> None:
    """Where nothing was said clearly the model can speak, and says what it says otherwise."""
    words = "Tell me something about Paris."
    freely = await said_under(llama_server, session, "root ::= [^\\x00]*", words)
    assert "Paris" in freely
    texts = [["turn on the X", "turn off the X"]]
    talking = await said_under(llama_server, session, grammar_for(texts, may_talk=True), words)
    assert talking == freely
    choosing = await said_under(llama_server, session, grammar_for(texts, may_talk=False), words)
    assert choosing in texts[0]


async def test_talk_does_not_begin_like_a_command(
    llama_server: LlamaServer, session: aiohttp.ClientSession
) -> None:
    """What begins like one has to be one: the model does not say that it does something else."""
    words = "Tell me something about Paris."
    freely = await said_under(llama_server, session, "root ::= [^\\x00]*", words)
    texts = [f"{freely[0]}urn on the X", "öffne Y", "]^-\\ Z"]
    grammar = grammar_for([texts], may_talk=True)
    said = await said_under(llama_server, session, grammar, words)
    assert said in texts or said[0] not in {*" \n", *(text[0] for text in texts)}


@pytest.mark.parametrize(
    "words",
    [
        "turn off the kettle and close the roller blind",
        "turn off the lights",
        "add 'milk \\ \"butter\"' to the shopping list",
        "start a timer of ten minutes",
    ],
)
async def test_what_was_said(
    llama_server: LlamaServer, session: aiohttp.ClientSession, words: str
) -> None:
    """The commands of real sentences come out whole."""
    parts = parts_of(words)
    grammar = grammar_for([[one.text for one in part] for part in parts], may_talk=False)
    said = (await said_under(llama_server, session, grammar, words)).split(BETWEEN)
    assert all(text in [one.text for one in part] for text, part in zip(said, parts, strict=True))


async def test_a_broken_grammar_is_refused(
    llama_server: LlamaServer, session: aiohttp.ClientSession
) -> None:
    """The server does look at grammars: these tests can fail."""
    with pytest.raises(LlamaServerError):
        await said_under(llama_server, session, 'root ::= "open')
