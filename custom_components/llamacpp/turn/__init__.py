"""Run a turn: the strategies in the order of their use."""
