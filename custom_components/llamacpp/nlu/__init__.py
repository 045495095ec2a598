"""Understand what a user asks of the home."""
