"""The command line for llama-server, which the real one understands."""

import json
import os
import subprocess
import urllib.request
from configparser import ConfigParser
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dev.llama import path_from_environment
from dev.processes import LOOPBACK, ChildProcess, free_port
from llamacpp_app import slots
from llamacpp_app.command import Launch, LocalModel, loaded_beside, server_command
from llamacpp_app.errors import AppError
from llamacpp_app.flags import ALLOWED, HARMFUL, OF_MODEL_FILES, RENAMED, parse_flags
from llamacpp_app.gguf import read_gguf
from llamacpp_app.memory import Beside, cache_mib
from llamacpp_app.options import Options
from llamacpp_app.paths import Paths, Ports

PORTS = Ports("127.0.0.1", 8080, 5000, 8099)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Return folders for the app."""
    (tmp_path / "config").mkdir()
    return Paths(tmp_path, tmp_path / "config", path_from_environment("LLAMACPP_SERVER").parent)


@pytest.fixture(scope="module")
def known_flags() -> str:
    """Return what the real llama-server says of its flags."""
    server = path_from_environment("LLAMACPP_SERVER")
    return subprocess.run([server, "--help"], capture_output=True, text=True, check=True).stdout


def value_of(command: list[str], flag: str) -> str:
    """Return what follows a flag that is there once."""
    assert command.count(flag) == 1
    return command[command.index(flag) + 1]


def test_every_flag_is_known(known_flags: str, paths: Paths) -> None:
    """Neither we nor users can give llama-server a flag that it does not know."""
    options = Options(
        threads=2,
        idle_minutes=5,
        embeddings=True,
        chat_template="{{ messages }}",
    )
    one = LocalModel("one", Path("/one.gguf"), Path("/mmproj-one.gguf"))
    command = server_command(options, paths, Launch(PORTS, (one,), ("a:1",), 512))
    command += server_command(options, paths, Launch(PORTS, (one, one)))
    ours = {word for word in command if word.startswith("--")}
    words = set(known_flags.replace(",", " ").split())
    assert ours | set(ALLOWED) <= words
    assert all(new[0] in ALLOWED for new in RENAMED.values())
    assert set(OF_MODEL_FILES) <= set(ALLOWED)
    assert not set(HARMFUL) & set(ALLOWED)


def test_context_is_that_of_one_conversation(paths: Paths) -> None:
    """Answers at the same time do not shrink it."""
    options = Options(context_size=4096, parallel_requests=3)
    command = server_command(options, paths, Launch(PORTS, (LocalModel("a", Path("/a.gguf")),)))
    assert value_of(command, "--parallel") == "3"
    assert value_of(command, "--ctx-size") == "12288"
    assert value_of(command, "--alias") == "a"
    assert value_of(command, "--cors-origins") == "localhost"
    launch = Launch(PORTS, (LocalModel("a", Path("/a.gguf")),), slots=4)
    command = server_command(options, paths, launch)
    assert value_of(command, "--parallel") == "4"
    assert value_of(command, "--ctx-size") == "16384"


@pytest.mark.parametrize(
    ("layers", "launch", "expected"),
    [
        (None, {}, "0"),
        (35, {}, "0"),
        (None, {"on_card": True}, "auto"),
        (35, {"on_card": True}, "35"),
        (99, {"rpc_servers": ("a:1",)}, "99"),
    ],
)
def test_what_computes(
    paths: Paths, layers: int | None, launch: dict[str, Any], expected: str
) -> None:
    """Layers go to cards and workers where there are some, and nothing goes there otherwise."""
    command = server_command(
        Options(gpu_layers=layers),
        paths,
        Launch(PORTS, (LocalModel("a", Path("/a.gguf")),), **launch),
    )
    assert value_of(command, "--n-gpu-layers") == expected
    assert ("--device" in command) == (not launch)
    if not launch:
        assert value_of(command, "--device") == "none"


def test_prompts_stay_warm(paths: Paths) -> None:
    """Processed prompts are kept on disk, and in as much memory as there is for them."""
    launch = Launch(PORTS, (LocalModel("a", Path("/a.gguf")),), cache_mib=512)
    command = server_command(Options(), paths, launch)
    assert value_of(command, "--slot-save-path") == f"{paths.slots}/"
    assert paths.slots.is_dir()
    assert value_of(command, "--cache-ram") == "512"
    assert value_of(command, "--batch-size") == "512"
    assert command.count("--no-cache-idle-slots") == 1


def test_old_processed_prompts_go(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest are kept, as many and as much as the bounds allow."""
    monkeypatch.setattr(slots, "MAX_FILES", 3)
    monkeypatch.setattr(slots, "MAX_BYTES", 250)
    paths.slots.mkdir()
    for number in range(5):
        file = paths.slots / f"{number}.bin"
        file.write_bytes(b"x" * 100)
        os.utime(file, (number, number))
    server_command(Options(), paths, Launch(PORTS, (LocalModel("a", Path("/a.gguf")),)))
    assert sorted(one.name for one in paths.slots.iterdir()) == ["3.bin", "4.bin"]
    monkeypatch.setattr(slots, "MAX_FILES", 1)
    slots.prepare_slots(paths.slots)
    (paths.slots / "empty.bin").touch()
    slots.prepare_slots(paths.slots)
    assert [one.name for one in paths.slots.iterdir()] == ["4.bin"]


@pytest.mark.parametrize(
    ("free", "expected"), [(-1, 256), (10**9, 476), (2**30, 512), (10**12, 8192)]
)
def test_memory_for_prompts(free: int, expected: int) -> None:
    """Half of what the model leaves, within bounds."""
    assert cache_mib(free) == expected


def test_what_is_not_set_is_not_given(paths: Paths) -> None:
    """llama-server knows its own defaults; the key is in no command line."""
    command = server_command(
        Options(api_key="secret"), paths, Launch(PORTS, (LocalModel("a", Path("/a.gguf")),))
    )
    assert not {"--threads", "--sleep-idle-seconds", "--rpc", "--embeddings"} & set(command)
    assert "--chat-template-file" not in command
    assert "secret" not in " ".join(command)


def test_several_models(paths: Paths) -> None:
    """They are served by a router, the first at once."""
    models = (
        LocalModel("a.b+c", Path("/models/a.gguf"), Path("/models/mmproj-a.gguf")),
        LocalModel("second", Path("/models/100%.gguf")),
    )
    command = server_command(Options(), paths, Launch(PORTS, models))
    assert value_of(command, "--models-preset") == str(paths.preset)
    assert "--model" not in command
    text = paths.preset.read_text()
    assert text.startswith("version = 1\n")
    preset = ConfigParser(interpolation=None)
    preset.read_string(text.removeprefix("version = 1\n"))
    assert preset.sections() == ["a.b+c", "second"]
    assert dict(preset["a.b+c"]) == {
        "model": "/models/a.gguf",
        "mmproj": "/models/mmproj-a.gguf",
        "load-on-startup": "true",
    }
    assert dict(preset["second"]) == {"model": "/models/100%.gguf"}


def test_chat_template(paths: Paths) -> None:
    """A text or a file of the config folder, but no mere name, which would become the prompt."""
    launch = Launch(PORTS, (LocalModel("a", Path("/a.gguf")),))
    options = Options(chat_template="{{ messages[0].content }}")
    template = value_of(server_command(options, paths, launch), "--chat-template-file")
    assert Path(template).read_text() == "{{ messages[0].content }}"
    (paths.config / "mine.jinja").write_text("{{ messages }}")
    options = replace(options, chat_template="mine.jinja")
    template = value_of(server_command(options, paths, launch), "--chat-template-file")
    assert Path(template) == (paths.config / "mine.jinja").resolve()
    outside = paths.data / "outside.jinja"
    outside.write_text("{{ messages }}")
    for wrong in ("gemma", "../outside.jinja", "none.jinja", str(outside)):
        with pytest.raises(AppError, match="The option chat_template"):
            server_command(replace(options, chat_template=wrong), paths, launch)
    (paths.config / "mine.jinja").write_text("x" * 300_000)
    with pytest.raises(AppError, match="larger than 256 KB"):
        server_command(replace(options, chat_template="mine.jinja"), paths, launch)


@pytest.mark.parametrize("flag", ["--sleep-idle-seconds", "--sleep-idle-seconds=60"])
def test_no_flag_that_harms(paths: Paths, flag: str) -> None:
    """The sleep is ours: llama-server's own is neither used nor taken, and we say why."""
    one = LocalModel("one", Path("/one.gguf"))
    for models in ((one,), (one, replace(one, name="two"))):
        command = server_command(Options(idle_minutes=5), paths, Launch(PORTS, models))
        assert "sleep" not in " ".join(command)
    with pytest.raises(AppError, match=r"must not hold --sleep-idle-seconds: .* idle_minutes"):
        parse_flags([flag, "60"])


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (["--temp 0.7", "--top-k", "40"], ("--temp", "0.7", "--top-k", "40")),
        (["--temp=0.7"], ("--temp", "0.7")),
        (["--tensor-split 3,1"], ("--tensor-split", "3,1")),
        (
            ["--override-tensor", r"blk\.[0-9]+\.ffn=CPU"],
            ("--override-tensor", r"blk\.[0-9]+\.ffn=CPU"),
        ),
        (["--override-tensor exps=CPU,ffn=CPU"], ("--override-tensor", "exps=CPU,ffn=CPU")),
        (
            ['--chat-template-kwargs {"a": "b c"}'],
            ("--chat-template-kwargs", '{"a": "b c"}'),
        ),
        (["--no-mmap", "--swa-full"], ("--load-mode", "none", "--swa-full")),
        (["--model-draft small.gguf"], ("--spec-draft-model", "small.gguf")),
    ],
)
def test_flags_as_people_write_them(entries: list[str], expected: tuple[str, ...]) -> None:
    """Flag and value are two entries or one, and nothing in a value has a meaning of its own."""
    assert parse_flags(entries) == expected
    assert parse_flags(list(expected)) == expected


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (["--swa-full on"], "must hold no value behind --swa-full"),
        (["--no-mmap", "0"], "must not hold 0"),
        (["--temp="], "must hold a value behind --temp"),
        (["--temp", "--top-k"], "must hold a value behind --temp"),
        (["--host 0.0.0.0"], "must not hold --host"),
        (["--lora /etc/passwd"], "the name of a file in the app's folder of models"),
        (["--lora a.gguf,../../data/api_key"], "the name of a file in the app's folder of models"),
        (["--lora-scaled", "a.gguf:0.5,/b.gguf:1"], "the name of a file in the app's folder"),
        (["--mmproj=../x"], "the name of a file in the app's folder of models"),
        (["--spec-draft-model", "/x"], "the name of a file in the app's folder of models"),
        (["--lora-scaled", "a.gguf"], "the name of a file in the app's folder of models"),
    ],
)
def test_flags_that_cannot_be(entries: list[str], words: str) -> None:
    """Each is refused with a sentence."""
    with pytest.raises(AppError, match=words):
        parse_flags(entries)


def test_files_of_the_further_arguments(paths: Paths) -> None:
    """They lie in the folder of models, and belong to the model of the options alone."""
    paths.models.mkdir()
    for name in ("a.gguf", "b.gguf", "draft.gguf", "mine.gguf"):
        (paths.models / name).touch()
    given = [
        "--lora-scaled a.gguf:0.5,b.gguf:1",
        "--temp 0.5",
        "--spec-draft-model draft.gguf",
        "--mmproj mine.gguf",
    ]
    options = Options(model_url="o/r:one.gguf", extra_arguments=parse_flags(given))
    one = LocalModel("one", Path("/one.gguf"), Path("/mmproj-one.gguf"))
    two = LocalModel("two", Path("/two.gguf"), Path("/mmproj-two.gguf"))
    folder = paths.models
    expected = {
        "lora-scaled": f"{folder}/a.gguf:0.5,{folder}/b.gguf:1",
        "spec-draft-model": f"{folder}/draft.gguf",
        "mmproj": f"{folder}/mine.gguf",
    }
    command = server_command(options, paths, Launch(PORTS, (one,)))
    assert {name: value_of(command, f"--{name}") for name in expected} == expected
    command = server_command(options, paths, Launch(PORTS, (two,)))
    assert value_of(command, "--mmproj") == "/mmproj-two.gguf"
    assert "--lora-scaled" not in command
    command = server_command(options, paths, Launch(PORTS, (one, two)))
    assert not {f"--{name}" for name in expected} & set(command)
    assert value_of(command, "--temp") == "0.5"
    preset = ConfigParser(interpolation=None)
    preset.read_string("[x]\n" + paths.preset.read_text())
    assert expected.items() <= dict(preset["one"]).items()
    assert dict(preset["two"]) == {"model": "/two.gguf", "mmproj": "/mmproj-two.gguf"}
    (paths.models / "b.gguf").unlink()
    with pytest.raises(AppError, match=r"names b\.gguf behind --lora-scaled, which is no file"):
        server_command(options, paths, Launch(PORTS, (one,)))


def test_what_is_loaded_beside_a_model(paths: Paths, model: Path) -> None:
    """Projector and adapters are files; of a draft it is known what it takes."""
    paths.models.mkdir()
    (paths.models / "draft.gguf").symlink_to(model)
    projector = paths.models / "mmproj-one.gguf"
    for path, size in ((projector, 100), (paths.models / "a.gguf", 20)):
        path.write_bytes(bytes(size))
    one, two = (LocalModel(name, Path(f"/{name}.gguf"), projector) for name in ("one", "two"))

    def beside(model: LocalModel, *entries: str) -> Beside:
        options = Options(model_url="o/r:one.gguf", extra_arguments=parse_flags(entries))
        return loaded_beside(options, paths, model)

    draft = read_gguf(model)
    flags = ("--model-draft draft.gguf", "--lora a.gguf,a.gguf", "--spec-draft-type-k q8_0")
    assert beside(one) == Beside(100)
    assert beside(one, *flags) == Beside(140, draft)
    assert beside(one, *flags, "--spec-draft-type-v q4_0") == Beside(140, draft, "q8_0")
    # What is wrong with it is told by llama-server.
    assert beside(one, "--spec-draft-model a.gguf", "--mmproj a.gguf") == Beside(40)
    assert beside(two, *flags) == Beside(100, None)


@pytest.mark.usefixtures("socket_enabled")
def test_thinking_is_off_unless_it_is_asked_for(paths: Paths, model: Path) -> None:
    """A real server with a template that can think; a request may want it all the same."""
    template = path_from_environment("LLAMACPP_TEMPLATES") / "Qwen3.5-4B.jinja"
    (paths.config / "qwen.jinja").write_text(template.read_text())
    options = Options(chat_template="qwen.jinja", context_size=512)
    ports = replace(PORTS, server=free_port())
    paths.api_key.write_text("key\n")
    command = server_command(options, paths, Launch(ports, (LocalModel("a", model),)))

    def prompt(**fields: Any) -> str:
        body = {"messages": [{"role": "user", "content": "Hi"}], **fields}
        request = urllib.request.Request(
            f"http://{LOOPBACK}:{ports.server}/apply-template",
            json.dumps(body).encode(),
            {"Authorization": "Bearer key"},
        )
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            return str(json.load(response)["prompt"])

    server = ChildProcess(
        "llama-server", command, paths.data / "log.txt", dict(os.environ), paths.data
    )
    server.start()
    try:
        server.wait_until(lambda: "listening on" in server.log.read_text(), 60.0)
        assert prompt().endswith("<think>\n\n</think>\n\n")
        wanted = prompt(chat_template_kwargs={"enable_thinking": True})
        assert wanted.endswith("<think>\n")
    finally:
        server.stop()
