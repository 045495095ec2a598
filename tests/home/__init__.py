"""Tests of the virtual home that the demo and the benchmarks live in."""
