"""The fault table: what fails, in each place where it can fail, and what holds afterwards."""
