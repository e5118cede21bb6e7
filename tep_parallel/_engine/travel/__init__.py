"""How an exception travels from a child to its host."""
