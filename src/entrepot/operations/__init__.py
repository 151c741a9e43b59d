"""What the system can do: one function is one use and at most one transaction."""
