"""Each row of the conformance table names a test or a benchmark."""

import ast
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TABLE: dict[str, dict[str, list[str]]] = yaml.safe_load(
    (ROOT / "tests" / "conformance.yaml").read_text()
)
ROWS = [(f"{part}: {row}", proofs) for part, rows in TABLE.items() for row, proofs in rows.items()]


@cache
def names_of_tests(path: Path) -> frozenset[str]:
    """Return the names of the tests of a file that are neither skipped nor expected to fail."""
    return frozenset(
        node.name
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not any("skip" in ast.unparse(one) for one in node.decorator_list)
        and not any("xfail" in ast.unparse(one) for one in node.decorator_list)
    )


def test_the_table_is_whole() -> None:
    """Every part of the integration has its rows."""
    assert list(TABLE) == [
        "Set-up",
        "Conversation agent",
        "AI task",
        "Actions",
        "History",
        "Entities",
        "Native feel",
        "Warm answers",
        "Every model controls the home",
        "Measures",
    ]
    assert all(rows for rows in TABLE.values())


@pytest.mark.parametrize(("row", "proofs"), ROWS, ids=[row for row, _ in ROWS])
def test_row(row: str, proofs: list[str]) -> None:
    """Its tests and benchmarks exist and run."""
    assert proofs, row
    for proof in proofs:
        file, _, name = proof.partition("::")
        if file.startswith("benchmarks/"):
            assert (ROOT / file).is_file(), proof
            continue
        folder = ROOT if file.startswith("tests/") else ROOT / "tests" / "integration"
        assert name in names_of_tests(folder / file), proof
