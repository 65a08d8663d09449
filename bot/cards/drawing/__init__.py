"""How pictures are drawn: everything below loads matplotlib and belongs to the drawing process."""
