"""Parts of the benchmark `app`."""
