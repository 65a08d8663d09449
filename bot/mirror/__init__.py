"""Copies of the archive in object stores: the way in, the way back, and what is where."""
