"""Measurements of the integration; README.md says how to run and to read them."""
