"""A prediction's way: from bytes through the chain to a recorded answer."""
