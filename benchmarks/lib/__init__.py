"""Parts that the benchmarks are made of."""
