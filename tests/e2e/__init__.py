"""Tests that use the product as people do: real processes, HTTP and WebSocket."""
