"""The entities exposed to Assist, and the vocabulary of each language."""
