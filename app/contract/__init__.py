"""What a valid request is. Knows neither HTTP nor models."""

from app.contract.problems import Problem, Rejected
from app.contract.schema import Feature, FeatureSchema, Readings, Row

__all__ = ["Feature", "FeatureSchema", "Problem", "Readings", "Rejected", "Row"]
