"""Scripts that print the numbers that the README gives."""
