"""The options of the app, from the Supervisor and from the environment."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from llamacpp_app.errors import AppError
from llamacpp_app.options import (
    CHECKS,
    DEFAULT_MODEL_NAME,
    DEFAULT_MODEL_URL,
    Mode,
    ModelOption,
    Options,
    load_options,
    parse_options,
)

APP = Path(__file__).parents[2] / "addon"
CONFIG: dict[str, Any] = yaml.safe_load((APP / "config.yaml").read_text())


def test_defaults() -> None:
    """The Supervisor's defaults are those without it, and the model is the same."""
    options = parse_options(CONFIG["options"])
    assert options.context_size == Options().context_size == 8192
    assert options.configured_models() == Options().configured_models()
    assert options.configured_models() == (ModelOption(DEFAULT_MODEL_NAME, DEFAULT_MODEL_URL),)


def test_the_address_alone_changes_the_model() -> None:
    """The Supervisor's default name is used for the default model alone."""
    options = parse_options({**CONFIG["options"], "model_url": "o/r:other.gguf"})
    assert options.configured_models() == (ModelOption("other", "o/r:other.gguf"),)
    named = parse_options({"model_url": "o/r:other.gguf", "model_name": "mine.gguf"})
    assert named.configured_models() == (ModelOption("mine", "o/r:other.gguf"),)
    wrong = parse_options({"model_url": "none"}).configured_models()
    assert wrong == (ModelOption("model", "none"),)


def test_every_option_can_be_set_and_is_explained() -> None:
    """The Supervisor's schema, our own and all languages have the same options."""
    assert set(CONFIG["schema"]) == set(CHECKS)
    for path in sorted((APP / "translations").glob("*.yaml")):
        told = yaml.safe_load(path.read_text())
        assert set(told["configuration"]) == set(CHECKS)
        assert all(one["name"] and one["description"] for one in told["configuration"].values())
        assert set(told["network"]) == set(CONFIG["ports"])


@pytest.mark.parametrize("name", ["context_size", "threads", "parallel_requests", "idle_minutes"])
def test_ranges_are_those_of_the_supervisor(name: str) -> None:
    """Both accept the ends of each range, and nothing beyond."""
    match = re.fullmatch(r"int\((\d+),(\d+)\)\??", CONFIG["schema"][name])
    assert match is not None
    low, high = int(match[1]), int(match[2])
    for value in (low, high):
        assert getattr(parse_options({name: value}), name) == value
    for value in (low - 1, high + 1):
        with pytest.raises(AppError, match=f"The option {name} must be .* from {low} to {high}"):
            parse_options({name: value})


@pytest.mark.parametrize(("value", "layers"), [("auto", None), ("35", 35), (0, 0), (999, 999)])
def test_layers(value: object, layers: int | None) -> None:
    """The Supervisor passes them as text."""
    assert parse_options({"gpu_layers": value}).gpu_layers == layers
    pattern = CONFIG["schema"]["gpu_layers"].removeprefix("match(").removesuffix(")")
    assert re.match(pattern, str(value))


@pytest.mark.parametrize("value", ["", "0" * 64])
def test_a_hash_may_be_empty(value: str) -> None:
    """The Supervisor hands over what is in the form, which is empty where nobody knows it."""
    (further,) = CONFIG["schema"]["models"]
    for pattern in (CONFIG["schema"]["model_sha256"], further["sha256"]):
        assert re.match(pattern.removeprefix("match(").removesuffix(")?"), value)
    wanted = {"name": "a", "url": "o/r:a.gguf", "sha256": value}
    options = parse_options({"model_sha256": value, "models": [wanted]})
    assert (options.model_sha256, options.models[0].sha256) == (value or None, value or None)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"context_size": "many"}, "The option context_size must be a whole number .* not 'many'"),
        ({"gpu_layers": "all"}, "gpu_layers must be auto, or a whole number from 0 to 999, not"),
        ({"gpu_layers": 1000}, "gpu_layers must be auto, or a whole number from 0 to 999, not"),
        ({"context_size": True}, "context_size must be a whole number"),
        ({"log_level": "loud"}, "log_level must be one of debug, info, warning, error"),
        ({"model_name": "../x"}, "The option model_name must be a name of letters"),
        ({"model_name": "a\n"}, "The option model_name must be a name"),
        ({"model_sha256": "12"}, "model_sha256 must be 64 digits"),
        ({"api_key": "two words"}, "api_key must be a key without spaces.* not the given one"),
        ({"api_key": "#comment"}, "api_key must be a key"),
        ({"api_key": "1234567"}, "api_key must be at least 8 characters long, .*not the given one"),
        ({"rpc_servers": ["one"]}, "rpc_servers must be host:port"),
        ({"rpc_servers": ["a:99999"]}, "rpc_servers must be host:port"),
        ({"mode": "both"}, "mode must be one of server, worker"),
        ({"embeddings": "perhaps"}, "embeddings must be true or false"),
        ({"models": [{"name": "a"}]}, "The option models.url must be required key not provided"),
        ({"models": [{"name": "a", "url": "b"}] * 2}, "every model has a name of its own"),
        ({"models": "nonsense"}, "models must be a JSON list"),
        ({"extra_arguments": ["--host", "x"]}, "extra_arguments must not hold --host"),
        ({"extra_arguments": ["--temp"]}, "extra_arguments must hold a value behind --temp"),
        ({"extra_arguments": ["0.7"]}, "extra_arguments must not hold 0.7"),
        ({"color": "red"}, "There is no option color"),
    ],
)
def test_wrong_values(values: dict[str, Any], sentence: str) -> None:
    """The error names the option and its valid values."""
    with pytest.raises(AppError, match=sentence):
        parse_options(values)


def test_a_wrong_key_is_not_shown() -> None:
    """A wrong key is not in the message."""
    with pytest.raises(AppError) as caught:
        parse_options({"hf_token": "hf secret"})
    assert "secret" not in str(caught.value)


def test_the_supervisors_file(tmp_path: Path) -> None:
    """It has priority over the environment; an empty value counts as not set."""
    path = tmp_path / "options.json"
    path.write_text(
        json.dumps(
            {
                "context_size": 4096,
                "api_key": "",
                "models": [{"name": "second", "url": "owner/repo:file.gguf"}],
                "rpc_servers": ["10.0.0.2:50052", "[fd00::1]:50052"],
                "extra_arguments": ["--temp", "0.7", "--swa-full"],
            }
        )
    )
    options = load_options(path, {"CONTEXT_SIZE": "512"})
    assert options.context_size == 4096
    assert options.api_key is None
    assert [one.name for one in options.configured_models()] == [DEFAULT_MODEL_NAME, "second"]
    assert options.rpc_servers == ("10.0.0.2:50052", "[fd00::1]:50052")
    assert options.extra_arguments == ("--temp", "0.7", "--swa-full")
    for content in ("{", "[]"):
        path.write_text(content)
        with pytest.raises(AppError, match="options"):
            load_options(path, {})


def test_the_environment(tmp_path: Path) -> None:
    """Plain Docker has the same options under the same names."""
    options = load_options(
        tmp_path / "options.json",
        {
            "MODEL_URL": "https://example.org/models/tiny.gguf?download=true",
            "PARALLEL_REQUESTS": "2",
            "THREADS": "4",
            "EMBEDDINGS": "yes",
            "MODE": "worker",
            "MODELS": '[{"name": "b", "url": "o/r:b.gguf"}]',
            "RPC_SERVERS": "a:1, b:2",
            "EXTRA_ARGUMENTS": "--temp 0.7 --tensor-split 3,1 --chat-template-kwargs '{\"a\": 1}'",
        },
    )
    assert options.configured_models() == (
        ModelOption("tiny", "https://example.org/models/tiny.gguf?download=true"),
        ModelOption("b", "o/r:b.gguf"),
    )
    assert (options.parallel_requests, options.threads, options.embeddings) == (2, 4, True)
    assert options.mode is Mode.WORKER
    assert options.rpc_servers == ("a:1", "b:2")
    split = ("--temp", "0.7", "--tensor-split", "3,1", "--chat-template-kwargs", '{"a": 1}')
    assert options.extra_arguments == split
    listed = {"EXTRA_ARGUMENTS": json.dumps(list(split))}
    assert load_options(tmp_path / "options.json", listed).extra_arguments == split
    for wrong in ("--temp '0.7", "[1", "[1]", '{"a": 1}'):
        with pytest.raises(AppError, match="extra_arguments must"):
            load_options(tmp_path / "options.json", {"EXTRA_ARGUMENTS": wrong})
    with pytest.raises(AppError, match="The option threads"):
        load_options(tmp_path / "options.json", {"THREADS": "0"})
