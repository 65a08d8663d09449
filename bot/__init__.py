"""A bot that keeps every round an ET:Legacy server ever played, and answers questions about them."""
