"""executor=: the items of a call go to an executor in chunks; what is here works on both sides."""
