"""Training: batches, the Lightning module, and the run that puts them together."""
