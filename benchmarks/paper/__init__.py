"""The ablations of the focal loss paper, at the size of a desk: `python -m benchmarks.paper`."""
