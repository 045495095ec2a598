"""The parts of the benchmark `day`."""
