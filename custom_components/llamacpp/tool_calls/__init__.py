"""Calls of tools: read, checked and put right."""
