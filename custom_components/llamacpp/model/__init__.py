"""What a model and its chat template can do."""
