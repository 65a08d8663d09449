"""From the game server into the archive and the database."""
