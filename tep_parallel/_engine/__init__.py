"""One call step by step, on the child's side and on the host's."""
