"""The texts of the integration by language."""

import json
from pathlib import Path
from typing import Any

from custom_components.llamacpp import error_messages

FOLDER = Path(error_messages.__file__).parent / "translations"

LANGUAGES = sorted(path.stem for path in FOLDER.glob("*.json"))


def texts(language: str) -> dict[str, str]:
    """Return the texts of a language by their path."""
    found: dict[str, str] = {}

    def walk(path: str, value: Any) -> None:
        if isinstance(value, str):
            found[path] = value
            return
        for key, child in value.items():
            walk(f"{path}.{key}", child)

    walk("", json.loads((FOLDER / f"{language}.json").read_text()))
    return found
