"""Tests of the counting and drawing parts of benchmarks."""
