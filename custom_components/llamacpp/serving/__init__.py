"""What the server has in memory, and what it processes before somebody waits."""
