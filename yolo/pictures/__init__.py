"""A picture: its header, its pixels, fitted to the network and back."""
