"""What the benchmark `voice` prints."""

from benchmarks.voice import ANSWERED, HEARD, SPOKEN, SURE, table


def test_table() -> None:
    """Shares are those of each round, and medians of all rounds; so is the whole."""
    rounds = [
        {SURE: 1.0, HEARD: 2.0, ANSWERED: 0.0, SPOKEN: 1.0},
        {SURE: 1.0, HEARD: 6.0, ANSWERED: 1.0, SPOKEN: 2.0},
        {SURE: 1.0, HEARD: 3.0, ANSWERED: 0.0, SPOKEN: 1.0},
    ]
    *_, line = table({"a scene": rounds}).splitlines()
    assert line == (
        "| a scene | 20% (1.00 s) | 60% (3.00 s) | 0% (0.00 s) | 20% (1.00 s) | 5.00 s |"
    )
