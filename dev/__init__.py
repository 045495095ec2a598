"""What the demo, the tests and the benchmarks share: real servers, real Home Assistant, a home."""
