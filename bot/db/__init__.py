"""The database: its tables, its migrations, and the two ways in (read and write)."""
