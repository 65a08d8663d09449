"""What a person sees: pictures, charts and texts made of answers."""
