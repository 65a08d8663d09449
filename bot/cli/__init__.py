"""The command line: one file per group of commands, assembled in `bot.__main__`."""
