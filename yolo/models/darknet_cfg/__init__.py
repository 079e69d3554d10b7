"""A Darknet cfg file: read into sections, checked and laid out as layers, built as a network."""
