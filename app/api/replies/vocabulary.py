"""The members that several replies share, with what `/openapi.json` says of them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from app.model.stages import BASELINE, FALLBACK, PRIMARY

SCHEMAS = "#/components/schemas/"


def one_of(*values: str) -> Meta:
    """A text that is one of these."""
    return Meta(extra_json_schema={"enum": list(values)})


def items(*kinds: type) -> Meta:
    """Each item is one of `kinds`, which msgspec's own unions cannot say."""
    return Meta(extra_json_schema={"items": {"oneOf": [{"$ref": SCHEMAS + kind.__name__} for kind in kinds]}})


Probability = Annotated[float, Meta(ge=0, le=1, description="The probability of an anomaly.", examples=[0.03])]
Count = Annotated[int, Meta(ge=0)]
Version = Annotated[str, Meta(description="The model version.", examples=["20261123T062814Z-e00128"])]
PredictionId = Annotated[
    str,
    Meta(
        description="VERSION.STAGE.DECISION.UNIQUE", examples=["20261123T062814Z-e00128.primary.0.26ce8f72eeda91b30f"]
    ),
]
Milliseconds = Annotated[float, Meta(ge=0, description="From the whole request to the answer, ms.", examples=[0.2])]
Stage = Annotated[str, one_of(PRIMARY, FALLBACK, BASELINE), Meta(description="The stage that answered.")]
Unavailable = Annotated[
    str, Meta(description="Why it was not the primary that answered.", examples=["Primary model unavailable"])
]
