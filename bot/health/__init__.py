"""What is where, why it is not, and the one command that fixes it."""
