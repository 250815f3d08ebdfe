"""What a model version is. Knows no HTTP, no metrics, no logs."""
