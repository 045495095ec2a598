"""Tests of the parts of benchmarks that count and draw."""
