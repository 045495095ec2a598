"""The strategy in which a small model chooses from commands."""
