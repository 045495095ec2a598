"""Calls of tools as sentences that a small model can choose among."""
