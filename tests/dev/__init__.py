"""Tests of what the demo, the tests and the benchmarks share."""
