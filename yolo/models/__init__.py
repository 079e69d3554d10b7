"""What the networks are made of, and the families of detectors."""
