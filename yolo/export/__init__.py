"""Write a detector in the formats of other runtimes, and prove each file before it is kept."""
