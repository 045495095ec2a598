"""Tests of commands that are said."""
