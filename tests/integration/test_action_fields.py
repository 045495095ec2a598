"""The fields of the actions in the automation editor."""

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from homeassistant.helpers.selector import selector

from custom_components.llamacpp import services

from .texts import FOLDER, LANGUAGES, texts

if TYPE_CHECKING:
    import probatio

ACTIONS: dict[str, Any] = yaml.safe_load((FOLDER.parent / "services.yaml").read_text())


def schema_of(action: str) -> probatio.Schema:
    """Return the schema of an action."""
    return services.SCHEMAS[action]


def example_of(field: dict[str, Any]) -> Any:
    """Return the example of a field; structured ones are JSON."""
    example = field["example"]
    return json.loads(example) if str(example).startswith("[") else example


def test_every_action_is_shown() -> None:
    """With all its fields, and no others."""
    assert ACTIONS.keys() == services.SCHEMAS.keys()
    for action, shown in ACTIONS.items():
        taken = {str(key): type(key).__name__ for key in schema_of(action).schema}
        assert shown["fields"].keys() == taken.keys()
        for name, field in shown["fields"].items():
            assert field.get("required", False) is (taken[name] == "Required"), (action, name)


@pytest.mark.parametrize("action", ACTIONS)
def test_every_field_has_an_example(action: str) -> None:
    """Its selector could return it, and the action accepts it."""
    fields = ACTIONS[action]["fields"]
    examples = {name: example_of(field) for name, field in fields.items()}
    for name, field in fields.items():
        accepts: Any = selector(field["selector"])
        accepts(examples[name])
    assert schema_of(action)(examples).keys() == examples.keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_field_is_explained(language: str) -> None:
    """It has a name and a sentence."""
    explained = texts(language)
    for action, shown in ACTIONS.items():
        for path in (action, *(f"{action}.fields.{name}" for name in shown["fields"])):
            assert explained[f".services.{path}.name"]
            assert explained[f".services.{path}.description"].endswith((".", "。"))
