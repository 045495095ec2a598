"""A model that answers with the words of a script, for tests of exact answers.

It is a real GGUF file for a real llama-server: layers that compute nothing, and an output matrix
that maps each token of a script to the next one. The chat template chooses the script, by the last
words of the user and the number of tool calls since. Streams, thinking, tool calls and grammars are
the server's own.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import gguf
import numpy as np

from .model_kinds import ATTENTION, WIDTH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .model_kinds import ModelKind

SEED = 7
# The first element of every token's vector; the others are +1 or -1. It stands for "any token",
# and ends the answer where no script continues.
ANY = 8.0
# A match scores WIDTH, chance about a third of it; the end lies between the two.
END_SHARE = 0.7
# So large that sampling has no choice, at any temperature.
LOGIT_SCALE = 2.0

TEMPLATE = Path(__file__).with_name("scripted_model.jinja").read_text()
# Placeholder in the template for the choice of a script.
CHOICE = "{# choice #}"


@dataclass(frozen=True, slots=True)
class ScriptedCall:
    """A tool call in a script."""

    name: str
    arguments: Mapping[str, Any]

    def __str__(self) -> str:
        """Return the call as a model of the Qwen family writes it."""
        call = {"name": self.name, "arguments": self.arguments}
        return f"<tool_call>\n{json.dumps(call, ensure_ascii=False)}\n</tool_call>"


# By words of the user, the answers of the model: the first, and one after each round of tool calls.
type Script = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The vocabulary and the type of a tokenizer.

    types: of the tokens, from `gguf.TokenType`. bos, eos: ids of the tokens that begin and end a
    prompt. pre, merges: of byte pair encoding; without merges it is SentencePiece.
    """

    tokens: tuple[str, ...]
    types: tuple[int, ...]
    bos: int
    eos: int
    pre: str = ""
    merges: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the vocabulary of a GGUF file with byte pair encoding."""
        fields = (reader := gguf.GGUFReader(path)).fields
        return cls(
            tuple(_strings(reader, "tokenizer.ggml.tokens")),
            tuple(int(one) for one in fields["tokenizer.ggml.token_type"].contents()),
            bos=int(fields["tokenizer.ggml.bos_token_id"].contents()),
            eos=int(fields["tokenizer.ggml.eos_token_id"].contents()),
            pre=str(fields["tokenizer.ggml.pre"].contents()),
            merges=tuple(_strings(reader, "tokenizer.ggml.merges")),
        )

    @classmethod
    def of_bytes(cls) -> Self:
        """Return a vocabulary of SentencePiece with a token for each byte."""
        special = {"<unk>": gguf.TokenType.UNKNOWN}
        special |= dict.fromkeys(("<s>", "</s>"), gguf.TokenType.CONTROL)
        tokens = (*special, *(f"<0x{byte:02X}>" for byte in range(256)))
        return cls(tokens, (*special.values(), *[gguf.TokenType.BYTE] * 256), bos=1, eos=2)

    def with_tokens(self, more: Mapping[str, int]) -> Self:
        """Return it with those of these tokens that it lacks. more: types by text."""
        new = {text: kind for text, kind in more.items() if text not in self.tokens}
        return replace(self, tokens=(*self.tokens, *new), types=(*self.types, *new.values()))

    def add_to(self, writer: gguf.GGUFWriter) -> None:
        """Write it."""
        writer.add_tokenizer_model("gpt2" if self.merges else "llama")
        if self.merges:
            writer.add_tokenizer_pre(self.pre)
            writer.add_token_merges(self.merges)
        else:
            writer.add_token_scores([0.0] * len(self.tokens))
        writer.add_token_list(self.tokens)
        writer.add_token_types(self.types)
        writer.add_bos_token_id(self.bos)
        writer.add_eos_token_id(self.eos)


def write_scripted_model(  # noqa: PLR0913 - the parts of a model
    path: Path,
    vocabulary: Path | Vocabulary,
    script: Script,
    otherwise: str,
    template: str = TEMPLATE,
    *,
    breaks: str = " ",
    kind: ModelKind = ATTENTION,
) -> None:
    """Write the model.

    vocabulary: or a GGUF file that has it. script: see `Script`. otherwise: the answer to all other
    words. template: the chat template; its comment `choice` is replaced by the choice of an answer.
    breaks: a token ends before each of these characters, unless it exists already. kind: of its
    layers.
    """
    known = Vocabulary.read(vocabulary) if isinstance(vocabulary, Path) else vocabulary
    answers = [otherwise, *(answer for rounds in script.values() for answer in rounds)]
    chains = _chains(answers, set(known.tokens), breaks)
    successors: dict[int, int] = {}
    more: dict[str, int] = {}
    for number, pieces in enumerate(chains):
        previous = len(known.tokens) + len(more)
        more[_start(number)] = gguf.TokenType.CONTROL
        for piece in pieces:
            successors[previous] = previous = len(known.tokens) + len(more)
            more[piece] = gguf.TokenType.USER_DEFINED
    known = known.with_tokens(more)
    writer = gguf.GGUFWriter(path, kind.architecture)
    writer.add_name("scripted")
    known.add_to(writer)
    writer.add_chat_template(template.replace(CHOICE, _choice(script)))
    for name, tensor in _tensors(len(known.tokens), successors, known.eos).items():
        writer.add_tensor(name, tensor)
    kind.add_to(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _strings(reader: gguf.GGUFReader, name: str) -> list[str]:
    field = reader.fields[name]
    return [bytes(field.parts[index]).decode() for index in field.data]


def _start(number: int) -> str:
    return f"<|script_{number}|>"


def _chains(answers: Sequence[str], taken: set[str], breaks: str) -> list[list[str]]:
    """Return the answers in pieces of a word or more, no piece twice and none that is `taken`.

    breaks: all pieces of an answer but the first begin with one of these characters.

    A token has one successor, so a piece must not be in two places.
    """
    chains: list[list[str]] = []
    for answer in answers:
        if not answer:
            chains.append([])
            continue
        chain: list[str] = []
        piece = ""
        for character in answer:
            if character in breaks and piece.strip() and piece not in taken:
                taken.add(piece)
                chain.append(piece)
                piece = ""
            piece += character
        while piece in taken:
            piece = chain.pop() + piece
        taken.add(piece)
        chains.append([*chain, piece])
    return chains


def _choice(script: Script) -> str:
    """Return the part of the template that chooses the script."""
    number = 1
    branches = []
    for words, rounds in script.items():
        for index in range(len(rounds)):
            condition = f"turn.words == {json.dumps(words)} and turn.round == {index}"
            branches.append(
                f"{{% {'if' if number == 1 else 'elif'} {condition} %}}{_start(number)}"
            )
            number += 1
    if not branches:
        return _start(0)
    return f"{''.join(branches)}{{% else %}}{_start(0)}{{% endif %}}"


def _tensors(
    n_tokens: int, successors: Mapping[int, int], end: int
) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[Any]]]:
    random = np.random.default_rng(SEED)
    vectors = random.choice(np.array([-1, 1], dtype=np.float16), size=(n_tokens, WIDTH))
    vectors[:, 0] = ANY
    output = np.zeros((n_tokens, WIDTH), dtype=np.float16)
    for token, successor in successors.items():
        output[successor, 1:] += vectors[token, 1:] * np.float16(LOGIT_SCALE)
    output[end, 0] += np.float16(LOGIT_SCALE * END_SHARE * WIDTH / ANY)
    return {"token_embd.weight": vectors, "output.weight": output}
