"""Training and prediction on a Ray cluster. Optional: nothing else imports Ray."""
