"""How a turn is made: the strategies, in the order in which they are tried."""
