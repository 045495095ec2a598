"""Capabilities of a model and its chat template."""
