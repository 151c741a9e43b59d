"""Pure dialects: each turns bytes into values and values into bytes, with no I/O and no clock."""
