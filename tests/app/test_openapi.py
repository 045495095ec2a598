"""The API's own description: whole, valid, and kept by the running app, whatever it is asked."""

import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig

from llamacpp_app import admin, api
from tests.app.running_app import lay_models, serving_app

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from schemathesis import Case

    from tests.app.running_app import RunningApp

DOCUMENT: dict[str, Any] = json.loads(files("llamacpp_app").joinpath("openapi.json").read_text())
EXAMPLES = 30
TOKENS = 2
SCHEMAS = DOCUMENT["components"]["schemas"]
MOST_TOKENS = SCHEMAS["Chat"]["properties"]["max_tokens"]["maximum"] + 1
LONGEST_URL = SCHEMAS["AddModel"]["properties"]["url"]["maxLength"]
# Nobody listens there, so nothing that is asked for comes from anywhere.
NOWHERE = "http://127.0.0.1:1"
CONFIG = SchemathesisConfig.from_dict(
    {
        "rate-limit": "15/s",
        "request-timeout": 60,
        "generation": {
            "max-examples": EXAMPLES,
            "deterministic": True,
            "database": "none",
        },
        # What fits into the model's context cannot be told by a schema.
        "checks": {
            "positive_data_acceptance": {
                "expected-statuses": ["2xx", "401", "404", "409", "413", "429"]
            },
        },
    }
)
schema = schemathesis.openapi.from_dict(DOCUMENT, config=CONFIG)


def tame(body: dict[str, Any]) -> None:
    """Keep answers short and downloads at home, without making wrong requests right."""
    url, tokens = body.get("url"), body.get("max_tokens", 1)
    if isinstance(url, str) and url.strip() and len(url) <= LONGEST_URL:
        body["url"] = f"{NOWHERE}/m.gguf"
    is_number = isinstance(tokens, int | float) and not isinstance(tokens, bool)
    if "message" in body and (tokens is None or (is_number and tokens in range(1, MOST_TOKENS))):
        body["max_tokens"] = TOKENS


@pytest.fixture(scope="module")
def fuzzed_app(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningApp]:
    """Return a running app, of which models may be added and deleted."""
    folder = tmp_path_factory.mktemp("fuzzed")
    lay_models(folder, model)
    environment = {"HF_ENDPOINT": NOWHERE}
    url = f"{NOWHERE}/smol.gguf"
    with serving_app(folder, environment, model_url=url, context_size="512") as app:
        yield app


# Measuring takes ten seconds each time: tests/app/test_choice.py does it once.
@schema.exclude(operation_id="measureSpeed").parametrize()
@pytest.mark.usefixtures("socket_enabled")
def test_every_operation(fuzzed_app: RunningApp, case: Case[Any]) -> None:
    """What the app answers is what the document says, for requests both right and wrong."""
    if isinstance(case.body, dict):
        tame(case.body)
    case.call_and_validate(base_url=fuzzed_app.url, headers=fuzzed_app.headers)


@pytest.mark.usefixtures("socket_enabled")
def test_nothing_went_wrong_meanwhile(fuzzed_app: RunningApp) -> None:
    """After all that, the app still answers, and had no mistake to log."""
    assert fuzzed_app.ask("GET", "/api/health")[1]["status"] == "ok"
    assert "Traceback" not in fuzzed_app.log()


def test_the_document_is_valid() -> None:
    """It follows OpenAPI's own schema."""
    schema.validate()


def test_every_route_is_described() -> None:
    """The document has all routes of the API, and no other ones."""
    described = {
        (method.upper(), path)
        for path, methods in DOCUMENT["paths"].items()
        for method in methods
        if method != "parameters"
    }
    routes = {
        (route.method, re.sub(r"\{(\w+):.*\}$", r"{\1}", route.path))
        for route in (*api.ROUTES, *admin.ROUTES)
    }
    assert described == routes
