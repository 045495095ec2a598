"""What measures the app."""
