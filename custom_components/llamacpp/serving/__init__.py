"""What one server has in its KV cache, and what it prefills before somebody asks."""
