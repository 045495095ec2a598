"""What one server has in its KV cache, and what it prefills before a user asks."""
