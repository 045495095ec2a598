"""What users are told about the app: all that there is, and only what is true."""

import ast
import json
import re
import time
from collections import Counter
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from homeassistant.components.automation.config import PLATFORM_SCHEMA as AUTOMATION
from homeassistant.components.rest_command import CONFIG_SCHEMA as REST_COMMAND
from homeassistant.components.script.config import SCRIPT_ENTITY_SCHEMA
from homeassistant.helpers import config_validation as cv

from custom_components.llamacpp.model import abilities
from llamacpp_app.flags import ALLOWED, HARMFUL, RENAMED
from llamacpp_app.model_names import ModelSource, model_name, parse_reference
from llamacpp_app.options import parse_options
from llamacpp_app.suggestions import MIN_TOOL_PARAMS, SUGGESTIONS, Machine

from .lossy_proxy import LossyProxy

if TYPE_CHECKING:
    from .running_app import RunningApp

APP = Path(__file__).parents[2] / "addon"
DOCS = (APP / "DOCS.md").read_text()
CONFIG: dict[str, Any] = yaml.safe_load((APP / "config.yaml").read_text())
API: dict[str, Any] = json.loads((APP / "llamacpp_app" / "openapi.json").read_text())
SOURCES = {path.name: path.read_text() for path in (APP / "llamacpp_app").glob("*.py")}
OPERATIONS = [
    (method, path)
    for path, item in API["paths"].items()
    for method in item
    if method != "parameters"
]


def part(heading: str) -> str:
    """Return the text below a heading, up to the next one of its level or above."""
    _, found, rest = DOCS.partition(f"\n{heading}\n")
    assert found, heading
    level = len(heading.partition(" ")[0])
    lines, is_code = [], False
    for line in rest.splitlines():
        # In code, a line that begins so is a comment.
        is_code ^= line.startswith("```")
        if not is_code and re.match(rf"#{{1,{level}}} ", line):
            break
        lines.append(line)
    return "\n".join(lines) + "\n"


def rows(text: str) -> list[list[str]]:
    """Return the cells of all rows of tables, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    heads = {n - 1 for n, row in enumerate(cells) if set(row[0]) == {"-"}}
    return [row for n, row in enumerate(cells) if n not in heads and n - 1 not in heads]


def blocks(language: str, text: str = DOCS) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands(text: str) -> list[str]:
    """Return the curl commands of a part, each on one line."""
    lines = "\n".join(blocks("", text)).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("curl ")]


def home_yaml() -> dict[str, Any]:
    """Return all examples for Home Assistant's configuration; a secret stands for itself."""

    class Loader(yaml.SafeLoader):
        """YAML with Home Assistant's secrets."""

    Loader.add_constructor("!secret", lambda _, node: f"secret {node.value}")
    found: dict[str, Any] = {}
    for block in blocks("yaml"):
        found |= yaml.load(block, Loader)  # noqa: S506 - a safe loader of our own
    return found


def test_links_lead_somewhere() -> None:
    """The contents name all headings, and each link within the file has one."""
    headings = [
        line.removeprefix("## ").lower().replace(" ", "-")
        for line in DOCS.splitlines()
        if line.startswith("## ")
    ]
    links = re.findall(r"\]\(#([\w-]+)\)", DOCS)
    assert [link for link, _ in zip(links, headings, strict=False)] == headings
    assert set(links) == set(headings)


def test_every_option_is_described() -> None:
    """Each has one row, with the default and the range that the Supervisor knows."""
    table = {row[0].strip("`"): row for row in rows(part("## Options")) if len(row) == 3}
    assert set(table) == set(CONFIG["schema"])
    for name, (_, default, meaning) in table.items():
        assert len(meaning) > 20
        kind = CONFIG["schema"][name]
        if isinstance(kind, str) and (span := re.match(r"int\((\d+),(\d+)\)", kind)):
            assert re.search(rf"\bfrom {span[1]}\b.* to {span[2]}\b", meaning), name
        if isinstance(kind, str) and (choices := re.match(r"list\((.*)\)", kind)):
            assert all(f"`{choice}`" in meaning for choice in choices[1].split("|")), name
        told = CONFIG["options"].get(name, [])
        if name == "model_url":
            assert default == "Gemma 3 1B"
        elif told != []:
            assert default.strip("`") == str(told), name
        else:
            assert default.strip("`") in {"empty", "off", "auto", "f16", "0", "server"}, name


def test_flags_that_are_recommended_are_allowed() -> None:
    """What the text tells to enter as a further argument is taken."""
    parts = ("## Choosing a model", "## Options")
    named = set(re.findall(r"`(--[a-z][a-z-]+)", "".join(map(part, parts))))
    assert {"--cache-ram", "--reasoning-budget", "--temp"} <= named
    assert named <= {*ALLOWED, *RENAMED, *HARMFUL}
    table = [row for row in rows(part("### Further arguments")) if len(row) == 2]
    told = [one for _, flags in table for one in re.findall(r"`(--[^`]+)`", flags)]
    assert len(told) > 10
    for one in told:
        assert parse_options({"extra_arguments": [one]}).extra_arguments


def test_suggested_models() -> None:
    """The table has what the app suggests, with its numbers, in references that can be entered."""
    table = [row for row in rows(part("## Choosing a model")) if len(row) == 9]
    assert [tuple(cell.strip("`") for cell in row) for row in table] == [
        (
            *(one.machine, one.name, one.url, f"{one.memory_gb:g} GB", one.control, one.thinks),
            "yes" if one.is_hybrid else "no",
            f"{one.score} %" if one.score else "-",
            one.why,
        )
        for one in SUGGESTIONS
    ]
    for one in SUGGESTIONS:
        source = parse_reference(one.url)
        assert isinstance(source, ModelSource)
        assert source.file_name == f"{one.name}.gguf"
        assert model_name(one.url) == one.name
        option = {"name": one.name, "url": one.url}
        assert parse_options({"models": [option]}).models[0].name == one.name
    assert parse_reference(SUGGESTIONS[0].url) == parse_reference(CONFIG["options"]["model_url"])
    assert {one.machine for one in SUGGESTIONS} == set(Machine)


def test_suggested_models_are_those_of_the_integration() -> None:
    """Both say alike how a model controls the home, and how well it calls tools."""
    assert MIN_TOOL_PARAMS == abilities.MIN_TOOL_PARAMS
    told = (APP.parent / "docs" / "models.md").read_text()
    scores = dict(re.findall(r"^\| ([a-z][^|]+) \| (\d+) %", told, re.MULTILINE))
    found = {
        name.strip(): int(score) for names, score in scores.items() for name in names.split(",")
    }
    assert len(found) > 8
    for one in SUGGESTIONS:
        name = one.name.lower().removesuffix("-q4_k_m").replace("gemma-4", "gemma4")
        same = [score for key, score in found.items() if name.startswith(key)]
        assert same == ([one.score] if one.score else [])


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_endpoint_has_an_example(method: str, path: str) -> None:
    """Its heading stands above a command that sends the key, and fields that the API knows."""
    (command, *_) = commands(part(f"### {method.upper()} {path}"))
    assert '-H "Authorization: Bearer $KEY"' in command
    pattern = re.escape(path).replace(r"\{id\}", r"\$ID").replace(r"\{name\}", "[a-z]+")
    assert re.search(rf'\$URL{pattern}["? ]|\$URL{pattern}$', command)
    data = re.search(r"-d '(.*)'", command)
    explicit = re.search(r"-X (\w+)", command)
    sent = explicit[1] if explicit else "POST" if data else "GET"
    assert sent == method.upper()
    if data:
        schema = API["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
        known = API["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        fields = set(json.loads(data[1]))
        assert set(known.get("required", [])) <= fields <= set(known["properties"])


def test_no_endpoint_is_invented() -> None:
    """Each heading of an endpoint is one of the API."""
    found = re.findall(r"^### (GET|POST|DELETE|PUT) (\S+)$", DOCS, re.MULTILINE)
    assert Counter((method.lower(), path) for method, path in found) == Counter(OPERATIONS)


def test_the_answer_has_the_fields_of_the_api() -> None:
    """The example of an answer holds what the API promises."""
    answer = json.loads(blocks("json")[0])
    known = API["components"]["schemas"]["Answer"]
    assert set(known["required"]) <= set(answer) <= set(known["properties"])
    usage = API["components"]["schemas"]["Usage"]["properties"]
    assert set(answer["usage"]) == set(usage)


def test_every_error_code_is_described() -> None:
    """The codes of the guard and of llama-server's client have a row with their status."""
    told = {
        (int(row[0]), code)
        for row in rows(part("### Errors"))
        for code in re.findall(r"`(\w+)`", row[1])
    }
    guard, upstream = SOURCES["guard.py"], SOURCES["upstream.py"]
    known = {(int(status), code) for status, code in re.findall(r'failure\((\d+), "(\w+)"', guard)}
    known |= {(int(status), code) for status, code in re.findall(r'Error, (\d+), "(\w+)"\)', guard)}
    assert len(known) > 10
    assert known <= told
    codes = {code for _, code in told}
    named = set(re.findall(r'(?:UpstreamError|__init__)\(\s*"(\w+)"', upstream))
    assert {"server_error", "not_ready", "timeout"} <= named <= codes
    for status, code in told:
        assert HTTPStatus(status).is_client_error or HTTPStatus(status).is_server_error, code


def code_texts() -> list[str]:
    """Return all texts of the app's code; what is filled in is `…`."""
    found = []
    for source in SOURCES.values():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.JoinedStr):
                found.append(
                    "".join(
                        str(one.value) if isinstance(one, ast.Constant) else "…"
                        for one in node.values
                    )
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(re.sub(r"%[-.\d]*[sdf]", "…", node.value))
    return found


def test_messages_are_those_of_the_code() -> None:
    """What troubleshooting quotes is what the app says, between the names and numbers."""
    texts = code_texts()
    quoted = [
        message
        for row in rows(part("## Troubleshooting"))
        for message in re.findall(r"`([^`]+)`", row[0])
        if not message.endswith("denied")
    ]
    assert len(quoted) > 25
    for message in quoted:
        pieces = [re.escape(one) for one in message.split("…")]
        pattern = re.compile(".*".join(pieces), re.DOTALL)
        assert any(pattern.search(text) for text in texts), message


@pytest.mark.usefixtures("hass")
async def test_home_assistant_takes_the_examples() -> None:
    """Its own schemas accept each block, and nothing in them is left over."""
    found = home_yaml()
    (secret,) = [name for name in found if name.endswith("_authorization")]
    assert str(found.pop(secret)).startswith("Bearer ")
    REST_COMMAND({"rest_command": found.pop("rest_command")})
    (sensor,) = found.pop("sensor")
    assert sensor["headers"] == {"authorization": f"secret {secret}"}
    assert sensor["resource"].endswith(":5000/api/health")
    health = API["components"]["schemas"]["Health"]["properties"]
    assert set(sensor["json_attributes"]) <= set(health)
    cv.template(sensor["value_template"])
    for script in found.pop("script").values():
        SCRIPT_ENTITY_SCHEMA(script)
    for automation in found.pop("automation"):
        AUTOMATION(automation)
    assert not found


def python_examples() -> tuple[Any, str]:
    """Return the class of the docs, and the lines that use it."""
    client, usage = blocks("python", part("## In Python"))
    names: dict[str, Any] = {}
    exec(compile(client, "DOCS.md", "exec"), names)  # noqa: S102 - our own docs
    names["PAUSES"] = (0.2, 0.5, 1, 2)
    return names["Conversation"], usage


@pytest.mark.usefixtures("socket_enabled")
def test_the_python_example(shared_app: RunningApp, capsys: pytest.CaptureFixture[str]) -> None:
    """It runs as it is written, but for address and key."""
    conversation, usage = python_examples()
    usage = usage.replace("http://192.168.1.10:5000", shared_app.url)
    usage = usage.replace("the-key", shared_app.key).replace("talk.send(", "limited(talk, ")

    def limited(talk: Any, message: str, **settings: Any) -> str:
        return str(talk.send(message, **{**settings, "max_tokens": 4}))

    names = {"Conversation": conversation, "limited": limited}
    exec(compile(usage, "DOCS.md", "exec"), names)  # noqa: S102 - our own docs
    assert capsys.readouterr().out.count("user ") == 2
    talk: Any = names["talk"]
    assert shared_app.ask("GET", f"/api/conversation/{talk.id}/history")[0] == 404


@pytest.mark.usefixtures("socket_enabled")
@pytest.mark.parametrize("lose_answer", [True, False])
def test_nothing_is_said_twice(shared_app: RunningApp, *, lose_answer: bool) -> None:
    """When an answer is lost its turn is found, when a message is lost it is said again."""
    conversation, _ = python_examples()
    with LossyProxy(shared_app.api_port) as proxy:
        talk = conversation(proxy.url, shared_app.key)
        talk.start("You answer in one sentence.")
        proxy.lose_next("/message", after_the_answer=lose_answer)
        answer = talk.send("Say hello.", max_tokens=4)
        assert proxy.n_lost == 1
        system, said, answered = talk.history()
        assert (system["role"], said["content"]) == ("system", "Say hello.")
        assert answered["content"] == answer
        talk.close()
        talk.close()


@pytest.mark.usefixtures("socket_enabled")
def test_a_refusal_is_raised(shared_app: RunningApp) -> None:
    """What will not pass is not tried again."""
    conversation, _ = python_examples()
    talk = conversation(shared_app.url, "wrong")
    started = time.monotonic()
    with pytest.raises(OSError, match="401"):
        talk.start()
    assert time.monotonic() - started < 5
    assert talk.id is None


def test_the_openai_example_is_python() -> None:
    """It compiles; that OpenAI's client works is tested beside the API."""
    (example,) = blocks("python", part("## Port 8080"))
    calls = [node for node in ast.walk(ast.parse(example)) if isinstance(node, ast.Call)]
    assert len(calls) >= 3


def test_the_benchmark_names_its_command() -> None:
    """Whoever doubts a figure can measure it anew."""
    text = part("## How fast it is")
    (command,) = [line for block in blocks("", text) for line in block.splitlines() if line]
    assert command.startswith("llama-bench -m ")
    assert rows(text)
    for row in rows(text):
        assert all(re.search(r"\d", cell) for cell in row[1:]), row
