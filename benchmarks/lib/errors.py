"""The error that ends a benchmark."""


class BenchmarkError(Exception):
    """The measurement cannot continue; the message is one sentence with the reason."""
