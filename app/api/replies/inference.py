"""What the endpoints of the Open Inference Protocol answer."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired, TypedDict

from msgspec import Meta

from app.api.replies.vocabulary import Count, Unavailable, Version

Datatype = Annotated[str, Meta(examples=["FP64"])]
Shape = Annotated[list[int], Meta(description="-1: any number of readings.", examples=[[-1]])]


class Server(TypedDict):
    """The server, and the extensions of the protocol it knows."""

    name: str
    version: str
    extensions: list[str]


class ServerLive(TypedDict):
    """The process answers."""

    live: Literal[True]


class ModelReady(TypedDict):
    """Whether this worker should get requests; `name` is the model's, where it was asked for."""

    ready: bool
    name: NotRequired[str]
    error: NotRequired[str]


class TensorMetadata(TypedDict):
    """A tensor that a request or a reply holds."""

    name: str
    datatype: Datatype
    shape: Shape


class Model(TypedDict):
    """The model, its active version, and what it takes and gives."""

    name: str
    versions: list[Version]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class BinaryParameters(TypedDict):
    """Of a tensor whose values follow the JSON."""

    binary_data_size: Annotated[int, Meta(ge=0, description="Its bytes.")]


class OutputTensor(TypedDict):
    """One value per reading, in `data` or behind the JSON."""

    name: str
    datatype: Datatype
    shape: list[Count]
    data: NotRequired[list[float | bool | str]]
    parameters: NotRequired[BinaryParameters]


class InferenceParameters(TypedDict):
    """A reading's prediction id is `VERSION.STAGE.DECISION.BATCH_ID-POSITION`."""

    batch_id: str
    warning: NotRequired[Unavailable]


class Inference(TypedDict):
    """The outputs that were asked for, or all."""

    model_name: str
    model_version: NotRequired[Version]
    id: str
    parameters: InferenceParameters
    outputs: list[OutputTensor]
