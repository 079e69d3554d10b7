"""Boxes as numbers: overlap, suppression, what was found, and drawn."""
