"""Detection in pictures on disk: find them, run a model over them, write what it found."""
