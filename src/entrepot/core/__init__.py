"""Values and decisions: no I/O, no clock; standard library and `packaging` only."""
