"""What somebody means who says something to the home."""
