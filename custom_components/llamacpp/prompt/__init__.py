"""What a model is told: the shared prefix, the turn's notes, the messages."""
