"""Tests of the tool_calls package."""
