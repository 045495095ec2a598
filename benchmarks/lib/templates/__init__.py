"""Parts of the benchmark `templates`."""
