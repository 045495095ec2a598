"""Homes for the benchmark `assist`, written as files."""

from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path


LAMP = {"id": "light.lamp", "name": "Lamp", "area": "hall"}

AREAS = [{"id": "hall", "name": "Hall"}]


def write_home(folder: Path, home: Any = None, **files: Any) -> None:
    """Write a home, and these files beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"areas": AREAS, "entities": [LAMP]} if home is None else home
    for name, part in {"_fixtures": content, **files}.items():
        text = part if isinstance(part, str) else yaml.safe_dump(part)
        (folder / f"{name}.yaml").write_text(text)
