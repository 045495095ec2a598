"""The variables of `addon/llama.env`."""

import re
from pathlib import Path

ENV = (Path(__file__).parents[2] / "addon" / "llama.env").read_text()


def of_llama_env(name: str) -> str:
    """Return the value of a variable."""
    match = re.search(rf"^{name}=(?:'([^']*)'|(\S+))$", ENV, re.MULTILINE)
    assert match is not None, name
    return match[1] or match[2]
