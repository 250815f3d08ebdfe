"""Measurements and checks against the running service that anyone can repeat."""
