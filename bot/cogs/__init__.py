"""Slash commands, one file for each group. Thin: read the question, ask a service, show the answer."""
