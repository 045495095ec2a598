"""Why llama-server ended: the first cause, in a sentence that says what to do."""

import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from dev.llama import path_from_environment
from dev.processes import LOOPBACK, free_port
from llamacpp_app.flags import ALLOWED, OF_MODEL_FILES
from llamacpp_app.reasons import MAX_MODELS, MAX_WORDS, Kind, Words, reason_of
from tests.app.gguf_files import write

if TYPE_CHECKING:
    from pathlib import Path

    from llamacpp_app.reasons import Reason

pytestmark = pytest.mark.usefixtures("socket_enabled")

SECONDS = 60
TRIES = 12
# Flags with any value, or with an unspecific error.
UNCHECKED = {"--samplers", "--reasoning-budget-message", "--reasoning-effort", *OF_MODEL_FILES}


class Ended:
    """A real llama-server that cannot start, and its output."""

    def __init__(self, model: Path, *arguments: str | Path, kilobytes: int | None = None) -> None:
        """Run it to its end. kilobytes: the maximum of memory."""
        flags = ["--host", LOOPBACK, "--port", str(free_port()), "--ctx-size", "512"]
        self.command = [
            str(path_from_environment("LLAMACPP_SERVER")),
            *flags,
            *("--model", str(model)),
            *(str(one) for one in arguments),
        ]
        limit = [] if kilobytes is None else ["prlimit", f"--as={1024 * kilobytes}"]
        ended = subprocess.run(
            [*limit, *self.command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            check=False,
        )
        self.returncode = ended.returncode
        self.words = Words()
        for line in ended.stdout.decode(errors="replace").splitlines():
            if line.strip():
                self.words.add(line.rstrip())

    @property
    def reason(self) -> Reason:
        """Return the reason."""
        lines = self.words.of_server(was_ready=False)
        return reason_of(self.returncode, lines, self.command)

    @property
    def told(self) -> tuple[Kind, str]:
        """Return kind and words of the reason."""
        return self.reason.kind, self.reason.text


@pytest.mark.parametrize("flag", sorted({f for f, n in ALLOWED.items() if n} - UNCHECKED))
def test_every_flag_with_a_wrong_value(model: Path, flag: str) -> None:
    """It names the flag, the value, and valid ones; never an exit status alone."""
    kind, text = Ended(model, flag, "nonsense").told
    assert kind is Kind.SETTING
    assert text.startswith(f"extra_arguments must not hold {flag} nonsense")
    assert text.endswith(("must be a number.", "around it.")) or "llama-server's help: " in text


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("--temp", "abc", "--temp abc: the value must be a number."),
        ("--prio", "9", "(invalid value). llama-server's help: --prio N set process"),
        ("--pooling", "foo", "help: --pooling {none,mean,cls,last,rank} pooling type"),
        ("--fit", "maybe", "(unknown value for --fit: 'maybe')"),
        ("--spec-type", "foo", "(unknown speculative type: foo)"),
        ("--chat-template-kwargs", "{enable_thinking:false}", "the value must be JSON such as"),
        ("--chat-template-kwargs", "'{\"a\": 1}'", "with no quotes around it."),
        ("--slot-save-path", "/nowhere", "does not take --slot-save-path /nowhere: not a dir"),
        ("--invented", "1", "has no flag --invented: take it out of extra_arguments."),
    ],
)
def test_arguments(model: Path, flag: str, value: str, words: str) -> None:
    """It says what is wrong with the value."""
    kind, text = Ended(model, flag, value).told
    assert kind is Kind.SETTING
    assert words in text


def test_a_small_cache_without_flash_attention(model: Path) -> None:
    """It names the conflicting options, not the context that cannot be created."""
    types = ("--cache-type-k", "q4_0", "--cache-type-v", "q4_0")
    kind, text = Ended(model, *types, "--flash-attn", "off").told
    assert kind is Kind.SETTING
    assert text == (
        "A cache_type other than f16 needs flash attention: set flash_attention to auto or on, or "
        "cache_type to f16."
    )


def test_files_that_are_no_models(model: Path, tmp_path: Path) -> None:
    """Unknown architecture, projector, missing tensors, half a file, missing file."""
    unknown = write(tmp_path / "unknown.gguf", "frobnicator")
    clip = write(tmp_path / "clip.gguf", "clip", {".has_vision_encoder": 1})
    lacking = tmp_path / "lacking.gguf"
    lacking.write_bytes(model.read_bytes().replace(b"output_norm.weight", b"output_mron.weight"))
    half = tmp_path / "half.gguf"
    half.write_bytes(model.read_bytes()[: model.stat().st_size // 2])
    none = tmp_path / "none.gguf"
    other = tmp_path / "other.gguf"
    other.write_bytes(b"<html>" * 100)
    expected = {
        unknown: "does not know the architecture of the model, frobnicator: update the app",
        clip: "is a projector, and no model: name it in the option projector_url",
        lacking: "(tensor 'output_norm.weight' not found): choose another file",
        half: "is cut off: delete it, so that it is downloaded again",
        none: "The file none.gguf is gone: put it back",
        other: "is no GGUF file",
    }
    for path, words in expected.items():
        kind, text = Ended(path).told
        assert kind is Kind.MODEL
        assert words in text


def test_a_projector_that_is_none(model: Path) -> None:
    """It names the option, and not the model."""
    kind, text = Ended(model, "--mmproj", model).told
    assert kind is Kind.PROJECTOR
    assert "look at the option projector_url" in text


@pytest.mark.parametrize(
    ("template", "line", "words"),
    [
        ("{% for m in messages %}\n{{ m.role }}\n{{ m.content\n{% endfor %}\n", 4, "Expected }}"),
        ("{# one #}\n" * 900 + "{{ a b }}", 901, "Expected }}"),
        ("\n\n{{ messages[0].content | nosuch }}", 3, "filter 'nosuch'"),
        ('\n{{ raise_exception("only nonsense") }}\n', 2, "only nonsense"),
        ("{% for m in messages %}{{ m.content }}", None, "Unexpected token"),
    ],
)
def test_templates(
    model: Path, tmp_path: Path, template: str, line: int | None, words: str
) -> None:
    """It has the mistake, and the line if llama-server shows it."""
    path = tmp_path / "mine.jinja"
    path.write_text(template)
    reasons = [Ended(model, "--chat-template-file", path).reason for _ in range(TRIES)]
    assert {one.kind for one in reasons} == {Kind.SETTING}
    assert all(one.text.startswith("The option chat_template has a mistake") for one in reasons)
    # llama-server sometimes ends before it has written its log.
    text = next(one.text for one in reasons if not one.is_vague)
    where = f" in line {line} (" if line else " ("
    assert text.startswith(f"The option chat_template has a mistake{where}")
    assert words in text


def test_too_large_a_context(model: Path) -> None:
    """The machine's memory is too small."""
    flags = ("--ctx-size", "900000", "--fit", "off")
    assert Ended(model, *flags, kilobytes=2_000_000).told == (
        Kind.MEMORY,
        "llama-server ran out of memory.",
    )


CARD = "The memory of the graphics card is too small for this: set gpu_layers or context_size to"


@pytest.mark.parametrize(
    ("returncode", "lines", "kind", "words"),
    [
        (1, [], Kind.UNKNOWN, "llama-server ended with the exit status 1."),
        (-6, ["x"], Kind.UNKNOWN, "llama-server was ended by SIGABRT."),
        (-4, [], Kind.UNKNOWN, "This processor lacks an instruction that llama-server needs."),
        (-9, [], Kind.MEMORY, "llama-server was killed, most likely for lack of memory."),
        (1, ["0.1 E srv a: b", "0.1 E srv c: d"], Kind.UNKNOWN, "llama-server ended: srv a: b"),
        (
            1,
            ["0.1 E srv  load: failed to load model", "0.1 E srv a: b"],
            Kind.UNKNOWN,
            "llama-server ended: srv a: b",
        ),
        (
            1,
            ["0.1 E srv  llama_server: exiting due to model loading error"],
            Kind.UNKNOWN,
            "llama-server ended: srv llama_server: exiting due to model loading error",
        ),
        (
            -6,
            ["/src/ggml.c:1: GGML_ASSERT(a == b) failed"],
            Kind.UNKNOWN,
            "llama-server ended: /src/ggml.c:1: GGML_ASSERT(a == b) failed",
        ),
        (
            1,
            ["error: the supplied chat template is not supported: {{"],
            Kind.SETTING,
            "The option chat_template has a mistake: mend it, or empty the option",
        ),
        (1, ["0.1 E x: failed to allocate CPU buffer of size 9"], Kind.MEMORY, "ran out of memory"),
        (1, ["0.1 E x: failed to allocate Vulkan0 buffer of size 9"], Kind.CARD, CARD),
        (1, ["0.1 E x: unable to allocate CUDA0 buffer"], Kind.CARD, CARD),
        (1, ["ggml_vulkan: Device memory allocation of size 9 failed."], Kind.CARD, CARD),
        (1, ["x: vk::Device::allocateMemory: ErrorOutOfDeviceMemory"], Kind.CARD, CARD),
        (1, ["x: cudaMalloc failed: out of memory"], Kind.CARD, CARD),
        (
            1,
            ["0.1 E srv start: couldn't bind HTTP server socket, hostname: a, port: 8080"],
            Kind.PORT,
            "Port 8080 is taken by another program: end that one",
        ),
    ],
)
def test_what_is_made_of_words(returncode: int, lines: list[str], kind: Kind, words: str) -> None:
    """Messages that a real server does not show on demand."""
    reason = reason_of(returncode, lines)
    assert reason.kind is kind
    assert words in reason.text


def test_a_server_that_was_ready() -> None:
    """Its earlier warnings are not the reason, unless they end a server."""
    refused = "0.1 E srv  send: failed to apply template: no"
    last = "/src/ggml.c:1: GGML_ASSERT(a) failed"
    told: Any = reason_of(-signal.SIGABRT, [refused, last], was_ready=True)
    assert told.text == f"llama-server ended: {last}"
    told = reason_of(-signal.SIGABRT, [refused, "0.1 E x: bad_alloc"], was_ready=True)
    assert told.kind is Kind.MEMORY
    told = reason_of(1, [refused, "0.1 E new"], was_ready=True)
    assert told.text == "llama-server ended: new"


def test_the_first_complaint_is_kept() -> None:
    """However much follows; a router's models have their own."""
    words = Words()
    words.add("0.1 E first")
    for number in range(5000):
        words.add(f"0.1 I {number}")
        words.add(f"line {number}")
    words.add("[80] 0.1 E of a model")
    assert words.of_server(was_ready=False)[0] == "0.1 E first"
    assert words.of_server(was_ready=True)[-1] == "line 4999"
    assert words.of_model("80") == ["0.1 E of a model"]
    for port in range(MAX_MODELS):
        words.add(f"[{port}] 0.1 E one")
    assert words.of_model("80") == []
    words.clear()
    assert words.of_server(was_ready=False) == []


def test_nothing_is_endless() -> None:
    """A sentence stays short."""
    text = reason_of(1, ["0.1 E " + "word " * 1000]).text
    assert len(text) < MAX_WORDS + 50
    assert text.endswith("…")
