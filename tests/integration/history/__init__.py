"""Tests of the stored conversations, with real files."""
