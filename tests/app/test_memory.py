"""What memory a model takes, beside what a real llama-server really takes; and what there is."""

import http.client
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import gguf
import numpy as np
import pytest

from dev.model_kinds import KINDS
from dev.processes import LOOPBACK
from dev.scripted_model import write_scripted_model
from llamacpp_app.gguf import read_gguf
from llamacpp_app.memory import (
    KV_TYPES,
    MIN_CHECKPOINTS,
    Beside,
    available_bytes,
    checkpoint_bytes,
    checkpoint_count,
    conversation_bytes,
    explain,
    fitting_context,
    needed_bytes,
)
from tests.conftest import serving

from .models import GEMMA, LLAMA

if TYPE_CHECKING:
    from dev.llama import LlamaServer
    from dev.scripted_model import Vocabulary
    from llamacpp_app.gguf import GgufInfo

GB = 1_000_000_000
MIB = 1024 * 1024
UNLIMITED = 9223372036854771712
# What a real server takes is between these shares of what we say.
LEAST_TAKEN = 0.65
MOST_TAKEN = 1.15
PROMPT_TOKENS = 400


def taken_bytes(server: LlamaServer) -> int:
    """Return the most that a server has had in memory, after a prompt."""
    connection = http.client.HTTPConnection(LOOPBACK, server.port, timeout=120)
    body = json.dumps({"prompt": [100] * PROMPT_TOKENS, "n_predict": 1})
    connection.request("POST", "/completion", body)
    answer = json.load(connection.getresponse())
    connection.close()
    assert answer["tokens_evaluated"] >= PROMPT_TOKENS
    status = Path(f"/proc/{server.pid}/status").read_text()
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert peak
    return 1024 * int(peak[1])


def assert_close(path: Path, log: Path, *, context_size: int, parallel: int, kv_type: str) -> None:
    """Start a real server with a model and compare what it takes with our estimate."""
    flags = [
        *("--ctx-size", str(context_size * parallel), "--parallel", str(parallel)),
        *("--cache-type-k", kv_type, "--cache-type-v", kv_type),
        # Weights that are mapped would count only where they were read.
        *("--load-mode", "none", "--ctx-checkpoints", "0"),
    ]
    estimate = needed_bytes(
        read_gguf(path),
        context_size=context_size,
        parallel=parallel,
        kv_type=kv_type,
        checkpoints=0,
    )
    with serving(log, *flags, model=path) as server:
        taken = taken_bytes(server)
    assert LEAST_TAKEN < taken / estimate < MOST_TAKEN, f"{taken} of {estimate} bytes"


@pytest.mark.parametrize(
    ("context_size", "parallel", "kv_type"),
    [(512, 1, "f16"), (8192, 1, "f16"), (4096, 4, "q8_0")],
)
def test_real_server(
    model: Path, tmp_path: Path, context_size: int, parallel: int, kv_type: str
) -> None:
    """The real model in a real server takes what we say, with little memory and with more."""
    assert_close(
        model,
        tmp_path / "log.txt",
        context_size=context_size,
        parallel=parallel,
        kv_type=kv_type,
    )


def test_real_server_with_a_draft(model: Path, tmp_path: Path) -> None:
    """A model that proposes tokens takes its weights, and its cache for each conversation."""
    flags = ("--load-mode", "none", "--ctx-checkpoints", "0", "--parallel", "2")
    taken = []
    for beside in ((), ("--spec-draft-model", str(model))):
        with serving(
            tmp_path / "log.txt", "--ctx-size", "8192", *flags, *beside, model=model
        ) as server:
            taken.append(taken_bytes(server))
    draft = Beside(draft=read_gguf(model))
    more = draft.weight_bytes + 2 * draft.conversation_bytes(4096)
    assert 0.9 < (taken[1] - taken[0]) / more < MOST_TAKEN


def test_what_is_loaded_beside_a_model() -> None:
    """Its files count once, a draft's cache for each conversation; the sentence tells of them."""
    beside = Beside(file_bytes=GB, draft=GEMMA, draft_kv_type="q8_0")

    def more(parallel: int) -> int:
        alone, together = (
            needed_bytes(LLAMA, context_size=8192, parallel=parallel, kv_type="f16", beside=one)
            for one in (Beside(), beside)
        )
        return together - alone

    cache = conversation_bytes(GEMMA, context_size=8192, kv_type="q8_0")
    assert more(1) == GB + GEMMA.tensor_bytes + cache
    assert more(3) == GB + GEMMA.tensor_bytes + 3 * cache
    needed = needed_bytes(LLAMA, context_size=8192, parallel=1, kv_type="f16")
    sentences = [
        explain(
            LLAMA,
            name="large",
            context_size=8192,
            parallel=1,
            kv_type="f16",
            available=needed,
            beside=one,
        )
        for one in (Beside(), beside)
    ]
    assert sentences[0] is None
    assert sentences[1] is not None
    assert sentences[1].startswith("large, with what is loaded beside it, needs ")


def test_real_server_with_sliding_layers(model: Path, tmp_path: Path) -> None:
    """A model most of whose layers slide takes far less: a sixth of its layers keep all."""
    path = tmp_path / "sliding.gguf"
    write_sliding_model(path, model)
    assert_close(path, tmp_path / "log.txt", context_size=32768, parallel=1, kv_type="f16")
    without = replace(read_gguf(path), n_sliding_kv_heads=0)
    full = needed_bytes(without, context_size=32768, parallel=1, kv_type="f16")
    assert full > 1.5 * needed_bytes(read_gguf(path), context_size=32768, parallel=1, kv_type="f16")


def write_sliding_model(path: Path, vocabulary: Path) -> None:
    """Write a model in Gemma 3's form that knows nothing: 12 layers, a window of 512 tokens."""
    width, heads, n_layers = 64, 4, 12
    reader = gguf.GGUFReader(vocabulary)
    writer = gguf.GGUFWriter(path, "gemma3")
    for name in ("tokens", "merges"):
        field = reader.fields[f"tokenizer.ggml.{name}"]
        writer.add_array(field.name, [bytes(field.parts[index]).decode() for index in field.data])
    types = reader.fields["tokenizer.ggml.token_type"].contents()
    writer.add_token_types([int(kind) for kind in types])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_context_length(32768)
    writer.add_embedding_length(width)
    writer.add_block_count(n_layers)
    writer.add_feed_forward_length(width)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_sliding_window(512)
    shapes = {"token_embd": (len(types), width), "output_norm": (width,)}
    for layer in range(n_layers):
        block = f"blk.{layer}."
        for norm in ("attn_norm", "ffn_norm", "post_attention_norm", "post_ffw_norm"):
            shapes[block + norm] = (width,)
        for norm in ("attn_q_norm", "attn_k_norm"):
            shapes[block + norm] = (width,)
        for matrix in ("attn_q", "attn_k", "attn_v"):
            shapes[block + matrix] = (heads * width, width)
        shapes[block + "attn_output"] = (width, heads * width)
        for matrix in ("ffn_gate", "ffn_up", "ffn_down"):
            shapes[block + matrix] = (width, width)
    for name, shape in shapes.items():
        kind = np.float32 if len(shape) == 1 else np.float16
        writer.add_tensor(f"{name}.weight", np.zeros(shape, dtype=kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_cache_by_the_numbers() -> None:
    """What more context takes is known exactly: for every token, each layer's keys and values."""

    def more(kv_type: str, parallel: int) -> int:
        few, many = (
            needed_bytes(LLAMA, context_size=size, parallel=parallel, kv_type=kv_type)
            for size in (4096, 8192)
        )
        return many - few - 4096 * 512 * 2

    f16 = 32 * 8 * (128 + 128) * 2 * 4096
    assert more("f16", 1) == f16 == 512 * MIB
    assert more("f16", 3) == 3 * f16
    assert more("f32", 1) == 2 * f16
    assert more("q8_0", 1) == f16 * 34 // 64
    assert more("q4_0", 1) == f16 * 18 // 64


@pytest.mark.parametrize("kv_type", KV_TYPES)
def test_types_of_the_cache(kv_type: str) -> None:
    """The sizes are those of ggml's types."""
    sizes = gguf.constants.GGML_QUANT_SIZES
    assert KV_TYPES[kv_type] == sizes[gguf.GGMLQuantizationType[kv_type.upper()]]


def test_state_of_recurrent_layers() -> None:
    """Each conversation has its own, however long it is."""
    recurrent = replace(GEMMA, state_bytes=MIB)
    for size in (512, 8192):
        more = needed_bytes(recurrent, context_size=size, parallel=3, kv_type="f16") - needed_bytes(
            GEMMA, context_size=size, parallel=3, kv_type="f16"
        )
        assert more == 3 * (1 + MIN_CHECKPOINTS) * MIB


def test_sliding_layers_with_lengths_of_their_own() -> None:
    """Gemma 4 keeps half as much of a token in its sliding layers as in the others."""
    wide, narrow = (
        conversation_bytes(replace(GEMMA, sliding_length=length), context_size=8192, kv_type="f16")
        for length in (512, 256)
    )
    assert wide == conversation_bytes(GEMMA, context_size=8192, kv_type="f16")
    assert wide - narrow == 22 * 1024 * 256 * 2


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "attention"])
def test_checkpoints_of_a_real_server(vocabulary: Vocabulary, tmp_path: Path, kind: str) -> None:
    """What it says of their size is what we count."""
    path, log = tmp_path / "model.gguf", tmp_path / "log.txt"
    write_scripted_model(path, vocabulary, {"Hello": ["Hi."]}, "No.", kind=KINDS[kind])
    home = " ".join(f"Lamp {number} is in room {number % 7}." for number in range(150))
    flags = ("--ctx-size", "4096", "--parallel", "1", "--ctx-checkpoints", "2")
    with serving(log, *flags, "--log-verbosity", "5", model=path) as server:
        for words in ("What?", "Hello", "Bye"):
            said = ({"role": "system", "content": home}, {"role": "user", "content": words})
            connection = http.client.HTTPConnection(LOOPBACK, server.port, timeout=120)
            connection.request("POST", "/v1/chat/completions", json.dumps({"messages": said}))
            assert connection.getresponse().status == 200
            connection.close()
    told = re.findall(r"context checkpoint (\d+) of (\d+) .* size = ([\d.]+) MiB", log.read_text())
    assert told
    assert {most for _, most, _ in told} == {"2"}
    ours = checkpoint_bytes(read_gguf(path), context_size=4096, kv_type="f16") / MIB
    for size in (float(size) for _, _, size in told):
        # Its numbers are rounded, and a few bytes stand before the values.
        assert abs(size - ours) < max(0.002, 0.01 * ours)


@pytest.mark.parametrize(
    ("checkpoint", "free", "slots", "expected"),
    [
        (0, 0, 1, 32),
        # Those of Qwen3.5 9B, for one conversation and for four.
        (50 * MIB, -1 * GB, 1, 4),
        (50 * MIB, 1 * GB, 1, 6),
        (50 * MIB, 8 * GB, 4, 8),
        (50 * MIB, 100 * GB, 4, 32),
    ],
)
def test_number_of_checkpoints(checkpoint: int, free: int, slots: int, expected: int) -> None:
    """A few in any case, and more for an eighth of what is free."""
    assert checkpoint_count(free, checkpoint=checkpoint, slots=slots) == expected


def test_projector() -> None:
    """A file without a language model takes its weights and what the program takes."""
    projector = replace(
        GEMMA,
        n_embd=None,
        n_kv_heads=None,
        key_length=None,
        value_length=None,
        sliding_window=None,
        n_sliding_kv_heads=0,
    )
    needed = needed_bytes(projector, context_size=512, parallel=1, kv_type="f16")
    assert 0 < needed - projector.tensor_bytes < 100 * MIB


@pytest.mark.parametrize(
    ("info", "available", "parallel", "kv_type", "expected"),
    [
        (LLAMA, 1000 * GB, 1, "f16", 131072),
        (LLAMA, 8 * GB, 1, "f16", 16384),
        (LLAMA, 8 * GB, 4, "f16", 4096),
        (LLAMA, 8 * GB, 1, "q8_0", 32768),
        (LLAMA, 5.3 * GB, 1, "f16", 512),
        (LLAMA, 5 * GB, 1, "f16", None),
        (GEMMA, 2 * GB, 1, "f16", 32768),
        (replace(LLAMA, n_ctx_train=40960), 1000 * GB, 1, "f16", 32768),
        (replace(LLAMA, n_ctx_train=None), 1000 * GB, 1, "f16", 32768),
        (replace(LLAMA, n_ctx_train=100), 1000 * GB, 1, "f16", 512),
    ],
)
def test_fitting_context(
    info: GgufInfo, available: int, parallel: int, kv_type: str, expected: int | None
) -> None:
    """It is the largest power of two that fits, and never more than the model can."""
    context = fitting_context(info, available=available, parallel=parallel, kv_type=kv_type)
    assert context == expected


@pytest.mark.parametrize(
    ("context_size", "parallel", "kv_type", "available", "advice"),
    [
        (8192, 1, "f16", 6 * GB, "Set context_size to 4096 or cache_type to q8_0."),
        (
            8192,
            2,
            "f16",
            7 * GB,
            "Set context_size to 4096, parallel_requests to 1 or cache_type to q8_0.",
        ),
        (8192, 4, "f16", 7.4 * GB, "Set context_size to 4096 or parallel_requests to 2."),
        (8192, 1, "q8_0", 5.5 * GB, "Set context_size to 4096."),
        (512, 8, "f16", 5.3 * GB, "Set parallel_requests to 1."),
        (
            2048,
            8,
            "f16",
            5.3 * GB,
            "Set context_size to 1024, parallel_requests to 1 and cache_type to q8_0.",
        ),
        (8192, 1, "f16", 4 * GB, "Choose a smaller model."),
    ],
)
def test_explain(
    context_size: int, parallel: int, kv_type: str, available: int, advice: str
) -> None:
    """What is advised is what helps, and all that is advised does."""
    told = explain(
        LLAMA,
        name="big",
        context_size=context_size,
        parallel=parallel,
        kv_type=kv_type,
        available=int(available),
    )
    assert told is not None
    assert told.partition("free. ")[2] == advice


def test_explain_in_words() -> None:
    """The sentences give what is needed, rounded up, and what there is, rounded down."""
    needed = needed_bytes(GEMMA, context_size=8192, parallel=1, kv_type="f16")
    assert 1.0 * GB < needed < 1.1 * GB
    assert (
        explain(
            GEMMA, name="gemma", context_size=8192, parallel=1, kv_type="f16", available=needed - 1
        )
        == "gemma needs 1.1 GB of memory with context_size 8192 and parallel_requests 1, but only "
        "1.0 GB are free. Set context_size to 4096 or cache_type to q8_0."
    )


def test_nothing_to_explain() -> None:
    """A model that fits, if only just, is no reason for words."""
    needed = needed_bytes(GEMMA, context_size=8192, parallel=1, kv_type="f16")
    assert (
        explain(GEMMA, name="x", context_size=8192, parallel=1, kv_type="f16", available=needed)
        is None
    )


@pytest.fixture
def meminfo(tmp_path: Path) -> Path:
    """Return a machine's report, with 4,000,000 kB to be had."""
    path = tmp_path / "meminfo"
    path.write_text(
        "MemTotal:        8000000 kB\nMemFree:          500000 kB\n"
        "MemAvailable:    4000000 kB\nActive(file):    3500000 kB\n"
    )
    return path


def write_cgroup(folder: Path, files: dict[str, object]) -> Path:
    """Write files of a control group, with 300 bytes that the kernel can give back."""
    folder.mkdir()
    prefix = "total_" if "memory.limit_in_bytes" in files else ""
    files = {
        **files,
        "memory.stat": f"anon 600\nfile 900\n{prefix}inactive_file 200\n{prefix}active_file 100\n",
    }
    for name, value in files.items():
        (folder / name).write_text(f"{value}\n")
    return folder


def test_machine(meminfo: Path, tmp_path: Path) -> None:
    """Without a control group, the machine decides."""
    assert available_bytes(meminfo, tmp_path / "none") == 4_000_000 * 1024


@pytest.mark.parametrize(
    ("limit", "used", "expected"),
    [
        (1000, 900, 400),
        (1000, 1400, 0),
        (64 * GB, 1 * GB, 4_000_000 * 1024),
        ("max", 1 * GB, 4_000_000 * 1024),
    ],
)
def test_container(meminfo: Path, tmp_path: Path, limit: object, used: int, expected: int) -> None:
    """The smaller of what the machine and the container have left counts."""
    files = {"memory.max": limit, "memory.current": used}
    assert available_bytes(meminfo, write_cgroup(tmp_path / "cgroup", files)) == expected


@pytest.mark.parametrize(("limit", "expected"), [(1000, 400), (UNLIMITED, 4_000_000 * 1024)])
def test_container_of_old(meminfo: Path, tmp_path: Path, limit: int, expected: int) -> None:
    """Version 1 of control groups has other names, and a large number instead of no limit."""
    (tmp_path / "cgroup").mkdir()
    files: dict[str, object] = {"memory.limit_in_bytes": limit, "memory.usage_in_bytes": 900}
    write_cgroup(tmp_path / "cgroup" / "memory", files)
    assert available_bytes(meminfo, tmp_path / "cgroup") == expected


def test_no_number(tmp_path: Path) -> None:
    """A machine that does not tell is an error, not an endless memory."""
    path = tmp_path / "meminfo"
    path.write_text("MemTotal: 8000000 kB\n")
    with pytest.raises(OSError, match="does not tell MemAvailable"):
        available_bytes(path, tmp_path)


def test_this_machine() -> None:
    """On this very machine there is some memory, and not more than it has."""
    total = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    assert total
    assert 0 < available_bytes() < 1024 * int(total[1])
