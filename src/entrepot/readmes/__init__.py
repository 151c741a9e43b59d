"""READMEs as HTML that can do nothing: rendered by a process of their own, and cleaned of all that isn't text."""
