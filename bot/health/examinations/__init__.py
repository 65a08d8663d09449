"""The examinations: one look at a census from each side, each ending in findings or in nothing."""
