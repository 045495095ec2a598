"""The strategy in which a small model chooses among commands."""
