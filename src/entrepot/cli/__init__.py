"""The command line: a client of the JSON API, and the commands that start processes."""
