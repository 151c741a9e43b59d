"""Runs what others wrote, shut off from this machine: without network, without our data, within limits."""
