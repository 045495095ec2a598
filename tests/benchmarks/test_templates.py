"""All chat templates of llama.cpp work with our requests, as the docs say."""

import os
import re
import subprocess
import sys

import pytest

from benchmarks.templates import TABLE
from dev.hass import ROOT
from dev.llama import path_from_environment


def rows(page: str) -> dict[str, str]:
    """Return the rows of the table by template."""
    return {line.split(" | ")[0]: line for line in page.splitlines() if line.startswith("| ")}


# A server is started for each template.
@pytest.mark.timeout(900)
def test_all_templates() -> None:
    """The table in the docs is the result, and nothing in it fails."""
    templates = path_from_environment("LLAMACPP_TEMPLATES")
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.templates"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    page = ended.stdout.removesuffix("\n")
    assert rows(page) == rows(TABLE.read_text())
    assert page == TABLE.read_text()
    n_templates = len([*templates.glob("*.jinja")])
    assert n_templates >= 70
    told = re.search(r"tools (\d+) of (\d+) work, with commands (\d+)", page)
    assert told
    assert [int(one) for one in told.groups()] == [n_templates] * 3
