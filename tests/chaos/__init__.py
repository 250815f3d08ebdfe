"""Faults under load, one at a time: which valid requests fail, and how the service recovers."""
