"""The formats of labelled pictures, a file each."""
