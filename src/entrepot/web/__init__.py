"""The HTTP doors: package clients, the JSON API and the pages."""
