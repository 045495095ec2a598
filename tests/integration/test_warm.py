"""Under the names by which `commands/test_prefix.py` imports them."""

from .prefill import processed
from .prefill import until_prefilled as warmed

__all__ = ["processed", "warmed"]
