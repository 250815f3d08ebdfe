"""The stages of the chain by name; these names stand in replies, manifests, logs and metrics."""

PRIMARY, FALLBACK, BASELINE, NONE = "primary", "fallback", "baseline", "none"

MODEL_STAGES = (PRIMARY, FALLBACK)
"""Those that a bundle holds, in the order they are asked."""

BASELINE_THRESHOLD = 0.5
"""The rule's scores are 0 or 1."""
