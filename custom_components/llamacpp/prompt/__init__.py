"""Build prompts: the shared prefix, the turn's notes, the messages."""
