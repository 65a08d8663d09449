"""Measuring: each of our numbers beside its limit, or beside another tool, in the same run."""
