"""What ends a benchmark without a figure."""


class BenchmarkError(Exception):
    """The measurement cannot go on; the message says why in one sentence."""
