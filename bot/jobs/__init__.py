"""Work that is asked for: once at a time, seen from every process, told how far it is, and never lost silently."""
