"""Git endpoints: what refs they have, and their trees at a commit; with logins that nobody else gets to see."""
