"""What the audit files answer: how many failed and why, when accuracy fell, latency, degradation, drift."""
