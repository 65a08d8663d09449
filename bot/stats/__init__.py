"""Questions about games, answered from the database."""
