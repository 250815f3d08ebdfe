"""What a valid request is. Knows neither HTTP nor models."""

from app.contract.schema import Feature, FeatureSchema, Problem, Rejected, Row

__all__ = ["Feature", "FeatureSchema", "Problem", "Rejected", "Row"]
