"""The home as it is exposed to Assist, and the words of its languages."""
