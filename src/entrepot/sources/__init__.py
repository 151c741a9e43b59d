"""Where files come from: one module per kind; `kinds.KINDS` lists them."""
