"""Tool calls: parse, validate and correct them."""
