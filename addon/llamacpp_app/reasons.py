"""Why llama-server has ended, in a sentence: the first cause, not the last consequence of it."""

from __future__ import annotations

import re
import signal
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .flags import ALLOWED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_WORDS: Final = 200
# The help of a flag and a whole chat template may stand between the complaints.
MAX_COMPLAINTS: Final = 1000
NEWEST_LINES: Final = 60
MAX_MODELS: Final = 8

# "0.06.045.397 E srv  load: ...": the level is missing in what is written past the log.
_LINE: Final = re.compile(r"(?:(?:\d+\.)+\d+ ([DIWE]) )?(.*)", re.DOTALL)
# Before each line of a router's model stands the port that this one listens at.
_OF_MODEL: Final = re.compile(r"\[(\d+)\] (.*)", re.DOTALL)
# What llama-server says because of something that it has said before.
_CONSEQUENCE: Final = re.compile(
    r"failed to load model|failed to create.context|failed to initialize (?:the context|chat)"
    r"|failed to apply template: std::exception|please consider disabling jinja"
    r"|failed to load multimodal model|failed to get memory usage|exiting due to"
    r"|trying to fit params"
)
# Words without a level, of whatever is about to end the program.
_LAST_WORDS: Final = re.compile(r"\S+: GGML_ASSERT|\s*what\(\): |error: |.*\bCUDA error")
_CARDS: Final = r"(?:Vulkan|CUDA|ROCm|SYCL|OpenCL|MUSA|CANN)\d*"


class Kind(StrEnum):
    """What a cause has to do with.

    MODEL: the file, or the llama.cpp that is to read it. CARD: the memory of a graphics card.
    """

    UNKNOWN = "unknown"
    MEMORY = "memory"
    CARD = "card"
    PROJECTOR = "projector"
    MODEL = "model"
    SETTING = "setting"
    PORT = "port"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why llama-server has ended, and a sentence on it that says what to do.

    is_vague: another start may tell more.
    """

    kind: Kind
    text: str
    is_vague: bool = False


@dataclass(frozen=True, slots=True)
class _Cause:
    """Words by which a cause is known, and its sentence, in which groups of theirs are named."""

    kind: Kind
    words: re.Pattern[str]
    sentence: str

    def read(self, texts: Sequence[str], _command: Sequence[str]) -> str | None:
        """Return what the first of these texts tells, nothing if it is not this cause."""
        match = self.words.search(texts[0])
        if match is None:
            return None
        named = {name: Path(value).name for name, value in match.groupdict().items()}
        return self.sentence.format(**named)


@dataclass(frozen=True, slots=True)
class _Setting:
    """A cause that is read from several lines and the command."""

    read: Callable[[Sequence[str], Sequence[str]], str | None]
    kind: Kind = Kind.SETTING


_CAUSES: Final = (
    _Cause(
        Kind.MODEL,
        re.compile(r"unknown model architecture: '(?P<name>[^']*)'"),
        "This llama.cpp does not know the architecture of the model, {name}: update the app, or "
        "choose another model.",
    ),
    _Cause(
        Kind.MODEL,
        re.compile(r"unknown (?:pre-)?tokenizer(?: type)?: '(?P<name>[^']*)'"),
        "This llama.cpp does not know the tokenizer of the model, {name}: update the app, or "
        "choose another model.",
    ),
    _Cause(
        Kind.MODEL,
        re.compile(r"CLIP cannot be used as main model"),
        "The file is a projector, and no model: name it in the option projector_url, and its "
        "model in model_url.",
    ),
    _Cause(
        Kind.MODEL,
        re.compile(
            r"error loading model: .*(?P<name>tensor '[^']*' (?:not found|has wrong shape))"
        ),
        "The file of the model is incomplete or made for another llama.cpp ({name}): choose "
        "another file of this model, or update the app.",
    ),
    _Cause(
        Kind.MODEL,
        re.compile(r"(?P<name>wrong number of tensors; expected \d+, got \d+)"),
        "The file of the model is incomplete or made for another llama.cpp ({name}): choose "
        "another file of this model, or update the app.",
    ),
    _Cause(
        Kind.MODEL,
        re.compile(r"not within the file bounds"),
        "The file of the model is cut off: delete it, so that it is downloaded again, or copy it "
        "again.",
    ),
    _Cause(
        Kind.MODEL,
        re.compile(r"invalid magic characters"),
        "The file of the model is no GGUF file: choose another one.",
    ),
    _Cause(
        Kind.MODEL,
        re.compile(r"failed to open GGUF file '(?P<name>[^']*)' \(No such file"),
        "The file {name} is gone: put it back, or wait until it is downloaded again.",
    ),
    _Cause(
        Kind.MODEL,
        re.compile(r"failed to open GGUF file '(?P<name>[^']*)' \(Permission denied"),
        "The file {name} may not be read by the app: let everybody read it.",
    ),
    _Cause(
        Kind.PROJECTOR,
        re.compile(r"mismatch between text model .* and mmproj|[Ff]ailed to load CLIP model"),
        "The projector is none, or is that of another model: look at the option projector_url.",
    ),
    _Cause(
        Kind.SETTING,
        re.compile(r"quantized V cache requires flash_attn"),
        "A cache_type other than f16 needs flash attention: set flash_attention to auto or on, or "
        "cache_type to f16.",
    ),
    _Cause(
        Kind.PORT,
        re.compile(r"couldn't bind HTTP server socket, .*port: (?P<name>\d+)"),
        "Port {name} is taken by another program: end that one, or let this one listen elsewhere "
        "by SERVER_PORT.",
    ),
    _Cause(
        Kind.CARD,
        re.compile(
            rf"(?:failed|unable) to allocate {_CARDS} buffer|ErrorOutOfDeviceMemory"
            r"|cudaMalloc failed: out of memory|CUDA error: out of memory"
            r"|Device memory allocation of size \d+ failed"
        ),
        "The memory of the graphics card is too small for this: set gpu_layers or context_size to "
        "less, or choose a smaller model.",
    ),
    _Cause(
        Kind.MEMORY,
        re.compile(
            r"out of memory|failed to allocate|unable to allocate|bad_alloc|insufficient memory"
            r"|cannot allocate memory",
            re.IGNORECASE,
        ),
        "llama-server ran out of memory.",
    ),
)
# A server that has been ready may have complained of much without ending by it; what has its port
# may have seemed to be ready.
_ENDING: Final = (Kind.CARD, Kind.MEMORY, Kind.PORT)


class Words:
    """What llama-server has said: its complaints until it was ready, and its newest lines.

    With a router, its models have lines of their own.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._complaints: list[str] = []
        self._newest: deque[str] = deque(maxlen=NEWEST_LINES)
        self._of_models: dict[str, list[str]] = {}

    def add(self, line: str) -> None:
        """Take a line."""
        if match := _OF_MODEL.fullmatch(line):
            self._add_of_model(match[1], match[2])
            return
        self._newest.append(line)
        _add_complaint(self._complaints, line)

    def _add_of_model(self, port: str, line: str) -> None:
        if port not in self._of_models and len(self._of_models) >= MAX_MODELS:
            del self._of_models[next(iter(self._of_models))]
        _add_complaint(self._of_models.setdefault(port, []), line)

    def clear(self) -> None:
        """Forget all, for it is started."""
        self._newest.clear()
        self._complaints.clear()
        self._of_models.clear()

    def of_server(self, *, was_ready: bool) -> list[str]:
        """Return what may tell why it ended."""
        return list(self._newest) if was_ready else self._complaints

    def of_model(self, port: str) -> list[str]:
        """Return the complaints of a router's model."""
        return self._of_models.get(port, [])


def _add_complaint(lines: list[str], line: str) -> None:
    match = _LINE.fullmatch(line)
    if match and match[1] in {"E", None} and len(lines) < MAX_COMPLAINTS:
        lines.append(line)


def reason_of(
    returncode: int, lines: Sequence[str], command: Sequence[str] = (), *, was_ready: bool = False
) -> Reason:
    """Return why llama-server ended.

    lines: what it has said, the first complaint among them. command: what it was started with.
    was_ready: it had its model, so lines are the newest ones.
    """
    said = [(match[1], match[2]) for match in map(_LINE.fullmatch, lines) if match]
    texts = [text for _, text in said]
    if found := _known(texts, command, was_ready=was_ready):
        return found
    if not was_ready and any(_NO_TEMPLATE in text for text in texts):
        # It ends faster than it writes its log, at times.
        return Reason(Kind.SETTING, _template_sentence("", None), is_vague=True)
    if returncode == -signal.SIGKILL:
        # So ends what the kernel takes memory from; it says so in its own log alone.
        return Reason(Kind.MEMORY, "llama-server was killed, most likely for lack of memory.")
    complaints = [text for level, text in said if level == "E"]
    causes = [text for text in complaints if not _CONSEQUENCE.search(text)]
    last = [text for level, text in said if level is None and _LAST_WORDS.match(text)]
    first = causes[:1] or last[:1] or complaints[:1]
    # Of a server that was ready, the newest is nearest to the end.
    newest = last[-1:] or causes[-1:]
    for words in newest if was_ready else first:
        return Reason(Kind.UNKNOWN, f"llama-server ended: {_shown(words)}")
    return Reason(Kind.UNKNOWN, f"{_end(returncode)}.")


def _end(returncode: int) -> str:
    """Return in words how a process ended."""
    if returncode == -signal.SIGILL:
        return "This processor lacks an instruction that llama-server needs"
    if returncode < 0 and -returncode in list(signal.Signals):
        return f"llama-server was ended by {signal.Signals(-returncode).name}"
    return f"llama-server ended with the exit status {returncode}"


def _known(texts: Sequence[str], command: Sequence[str], *, was_ready: bool) -> Reason | None:
    """Return the first cause that is known."""
    for number in range(len(texts)):
        for cause in _KNOWN:
            if was_ready and cause.kind not in _ENDING:
                continue
            if sentence := cause.read(texts[number:], command):
                return Reason(cause.kind, sentence)
    return None


_ARGUMENT: Final = re.compile(r'error while handling argument "([^"]+)": (?:error: )?(.*)')
_UNKNOWN_ARGUMENT: Final = re.compile(r"error: invalid argument: (\S+)")
_NOT_A_NUMBER: Final = ("stoi", "stol", "stof", "stod", "stoull", "stoul")


def _argument(texts: Sequence[str], command: Sequence[str]) -> str | None:
    """Return what is wrong with a flag: its value, and what llama-server says of that flag."""
    if match := _UNKNOWN_ARGUMENT.search(texts[0]):
        return f"This llama-server has no flag {match[1]}: take it out of extra_arguments."
    match = _ARGUMENT.search(texts[0])
    if match is None:
        return None
    flag, said = match[1], match[2].strip()
    given = _value_of(flag, command)
    shown = _shown(f"{flag} {given}" if given else flag)
    if flag not in ALLOWED:
        return f"llama-server does not take {shown}: {_shown(said)}."
    what = f"extra_arguments must not hold {shown}"
    if said in _NOT_A_NUMBER:
        return f"{what}: the value must be a number."
    if "json.exception" in said:
        example = '{"enable_thinking": false}'
        return f"{what}: the value must be JSON such as {example}, with no quotes around it."
    usage = _usage(texts[1:])
    return f"{what} ({_shown(said)}). {usage}" if usage else f"{what}: {_shown(said)}"


def _value_of(flag: str, command: Sequence[str]) -> str | None:
    """Return the last value that a flag has in a command."""
    values = [value for one, value in pairwise(command) if one == flag]
    return values[-1] if values else None


def _usage(texts: Sequence[str]) -> str:
    """Return what llama-server says of the flag whose value it does not take."""
    if "usage:" not in texts:
        return ""
    told = []
    for text in texts[texts.index("usage:") + 1 :]:
        if text.strip().startswith("(env:") or text.startswith("to show complete usage"):
            break
        told.append(text)
    words = _shown(" ".join(told))
    return f"llama-server's help: {words}" if words else ""


_NO_TEMPLATE: Final = "the supplied chat template is not supported"
_TEMPLATE: Final = re.compile(r"common_chat_templates_init: error: (?:parser: )?(.*)")
_RENDERED: Final = re.compile(r"failed to apply template: (?!std::exception)")
_PLACE: Final = re.compile(r"at line (\d+), column \d+ in source")
_ERROR: Final = re.compile(r"Error: (.+)")
_EXCERPT: Final = re.compile(r"\.\.\.(.*)\.\.\.", re.DOTALL)
# How llama.cpp shows the end of a line.
_NEW_LINE: Final = "↵"


def _template(texts: Sequence[str], command: Sequence[str]) -> str | None:
    """Return what is wrong with the chat template, and in which of its lines."""
    line: int | str | None = None
    if match := _TEMPLATE.search(texts[0]):
        said = match[1].removeprefix("Parser Error: ")
        line = _line_of(texts[1:3], command)
    elif _RENDERED.search(texts[0]):
        errors = [match[1] for match in map(_ERROR.match, texts) if match]
        places = [match[1] for match in map(_PLACE.search, texts) if match]
        # The innermost place is the first, and the first cause the last error.
        said = errors[-1] if errors else "it cannot be used"
        line = places[0] if places else None
    else:
        return None
    return _template_sentence(said, line)


def _template_sentence(said: str, line: int | str | None) -> str:
    where = f" in line {line}" if line else ""
    what = f" ({_shown(said)})" if said else ""
    return (
        f"The option chat_template has a mistake{where}{what}: mend it, or empty the option, so "
        "that the model's own template is used."
    )


def _line_of(texts: Sequence[str], command: Sequence[str]) -> int | None:
    """Return the line of the chat template that llama-server shows: a piece, and a mark below."""
    path = _value_of("--chat-template-file", command)
    if path is None or len(texts) < 2:  # noqa: PLR2004 - the excerpt, and the mark below it
        return None
    match = _EXCERPT.fullmatch(texts[0])
    if match is None or "^" not in texts[1]:
        return None
    excerpt = match[1].replace(_NEW_LINE, "\n")
    try:
        template = Path(path).read_text(errors="replace")
    except OSError:
        return None
    start = template.find(excerpt)
    if start < 0:
        return None
    end = start + texts[1].index("^") - match.start(1)
    return template.count("\n", 0, end) + 1


_KNOWN: Final = (_Setting(_argument), _Setting(_template), *_CAUSES)


def _shown(words: str) -> str:
    """Return words on one line, and not too many."""
    line = " ".join(words.split())
    return line if len(line) <= MAX_WORDS else f"{line[:MAX_WORDS].rpartition(' ')[0]}…"
