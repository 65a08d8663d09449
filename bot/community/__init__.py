"""What Discord servers set up, who their people are in the game, what was posted where. Knows no Discord library."""
