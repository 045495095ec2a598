"""A model that says what a script tells it to, for tests in which the words matter.

It is a real GGUF file for a real llama-server: one layer that adds nothing, and an output matrix
that names, for each token of a script, the next one. Which script begins is decided by the chat
template, from the last words of the user and from how often the model has called tools since.
What the server makes of the output (streams, thinking, tool calls, grammars) is all its own.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gguf
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WIDTH = 128
CONTEXT_TOKENS = 32768
SEED = 7
# The first element of every token's vector is this, the others are +1 or -1: it stands for "any
# token" and leads to the end of the answer wherever no script goes on.
ANY = 8.0
# A match scores WIDTH, chance about a third of it; the end lies between the two.
END_SHARE = 0.7
# So large that sampling has no choice, whatever its temperature.
LOGIT_SCALE = 2.0

TEMPLATE = Path(__file__).with_name("scripted_model.jinja").read_text()
# Stands in the template for the choice of a script.
CHOICE = "{# choice #}"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool call in a script."""

    name: str
    arguments: Mapping[str, Any]

    def __str__(self) -> str:
        """Return the call as a model of the Qwen family writes it."""
        call = {"name": self.name, "arguments": self.arguments}
        return f"<tool_call>\n{json.dumps(call)}\n</tool_call>"


# What the user says, and what the model answers: at once, and after each round of tool calls.
type Script = Mapping[str, Sequence[str]]


def write_scripted_model(path: Path, vocabulary: Path, script: Script, otherwise: str) -> None:
    """Write the model.

    vocabulary: a GGUF file whose tokenizer is used. script: see `Script`. otherwise: what it says
    to everything else.
    """
    reader = gguf.GGUFReader(vocabulary)
    tokens = _strings(reader, "tokenizer.ggml.tokens")
    types = [int(value) for value in reader.fields["tokenizer.ggml.token_type"].contents()]
    answers = [otherwise, *(answer for rounds in script.values() for answer in rounds)]
    chains = _chains(answers, set(tokens))
    successors: dict[int, int] = {}
    end = int(reader.fields["tokenizer.ggml.eos_token_id"].contents())
    for number, pieces in enumerate(chains):
        previous = len(tokens)
        tokens.append(_start(number))
        types.append(gguf.TokenType.CONTROL)
        for piece in pieces:
            successors[previous] = previous = len(tokens)
            tokens.append(piece)
            types.append(gguf.TokenType.USER_DEFINED)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("scripted")
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(1)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(str(reader.fields["tokenizer.ggml.pre"].contents()))
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(_strings(reader, "tokenizer.ggml.merges"))
    writer.add_bos_token_id(int(reader.fields["tokenizer.ggml.bos_token_id"].contents()))
    writer.add_eos_token_id(end)
    writer.add_chat_template(TEMPLATE.replace(CHOICE, _choice(script)))
    for name, tensor in _tensors(len(tokens), successors, end).items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _strings(reader: gguf.GGUFReader, name: str) -> list[str]:
    field = reader.fields[name]
    return [bytes(field.parts[index]).decode() for index in field.data]


def _start(number: int) -> str:
    return f"<|script_{number}|>"


def _chains(answers: Sequence[str], taken: set[str]) -> list[list[str]]:
    """Return the answers in pieces of a word or more, no piece twice and none that is `taken`.

    A token has one successor, so a piece that stands in two places would lead both to the same.
    """
    chains: list[list[str]] = []
    for answer in answers:
        if not answer:
            chains.append([])
            continue
        chain: list[str] = []
        piece = ""
        for character in answer:
            if character == " " and piece.strip() and piece not in taken:
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
    """Return the part of the template that names the script to begin."""
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
    zeros = np.zeros((WIDTH, WIDTH), dtype=np.float16)
    ones = np.ones(WIDTH, dtype=np.float32)
    squares = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    return {
        "token_embd.weight": vectors,
        "output.weight": output,
        "output_norm.weight": ones,
        "blk.0.attn_norm.weight": ones,
        "blk.0.ffn_norm.weight": ones,
        **{f"blk.0.{name}.weight": zeros for name in squares},
    }
