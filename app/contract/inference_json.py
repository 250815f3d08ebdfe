"""The JSON of an Open Inference Protocol request: read quickly where it is ordinary, carefully where it is not."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from app.contract.body import strict_json
from app.contract.tensors import Values, json_values, numbers
from app.errors import TensorError

_NAME_LENGTH_SHOWN = 100
_MESSAGE_LENGTH_SHOWN = 300
_MOST_DIMENSIONS = 8

Data = TypeVar("Data")
Size = Annotated[int, msgspec.Meta(ge=0)]
Foreign = Any | UnsetType
"""A parameter of an extension that is not known here."""


class InputParameters(msgspec.Struct, frozen=True):
    binary_data_size: Size | UnsetType | None = UNSET
    shared_memory_region: Foreign = UNSET


class Input(msgspec.Struct, Generic[Data], frozen=True):
    """A tensor of the request; `data` is its values as far as they are in the JSON."""

    name: str
    shape: Annotated[list[Size], msgspec.Meta(min_length=1, max_length=_MOST_DIMENSIONS)]
    datatype: str
    parameters: InputParameters | UnsetType | None = UNSET
    data: Data | UnsetType = UNSET

    @property
    def title(self) -> str:
        """How messages call it."""
        return f"Input {self.name[:_NAME_LENGTH_SHOWN]!r}"

    @property
    def binary_size(self) -> int | None:
        """Bytes it takes behind the JSON; None where its values are in it."""
        size = self.parameters.binary_data_size if self.parameters else None
        return size if isinstance(size, int) else None


class OutputParameters(msgspec.Struct, frozen=True):
    binary_data: bool | UnsetType | None = UNSET
    classification: Foreign = UNSET
    shared_memory_region: Foreign = UNSET


class Output(msgspec.Struct, frozen=True):
    """A tensor that the reply should hold."""

    name: str
    parameters: OutputParameters | UnsetType | None = UNSET

    @property
    def binary(self) -> bool | None:
        """Whether it should come behind the JSON; None where that is left to the request as a whole."""
        wanted = self.parameters.binary_data if self.parameters else None
        return wanted if isinstance(wanted, bool) else None


class RequestParameters(msgspec.Struct, frozen=True):
    binary_data_output: bool | UnsetType | None = UNSET
    sequence_id: Foreign = UNSET


class Document(msgspec.Struct, Generic[Data], frozen=True):
    """A request. Members and parameters that are not here are passed over: other servers' extensions."""

    inputs: Annotated[list[Input[Data]], msgspec.Meta(min_length=1)]
    id: str | UnsetType | None = UNSET
    model_name: str | UnsetType | None = UNSET  # a client may repeat the URL's
    parameters: RequestParameters | UnsetType | None = UNSET
    outputs: list[Output] | UnsetType | None = UNSET


Parsed = tuple[Document[Any], list[Values | None]]
"""A request, and the values of each input; None for one whose values are not in the JSON."""

_flat_decoder = msgspec.json.Decoder(Document[list[float]])
_nested_decoder = msgspec.json.Decoder(Document[list[list[float]]])
_encoder = msgspec.json.Encoder()


def read_request(content: bytes) -> Parsed:
    """The request in a JSON document.

    Raises `MalformedBodyError` (no strict JSON) or `TensorError` (not a request, or arrays that are not of their
    shape).
    """
    return _read_quickly(content) or _read_carefully(content)


def _read_quickly(content: bytes) -> Parsed | None:
    """None where anything is out of the ordinary, be it wrong or not."""
    decoder: msgspec.json.Decoder[Document[Any]] = _nested_decoder if b"[[" in content else _flat_decoder
    try:
        document = decoder.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    # The decoder lets the last of two equal keys win. Written anew, the document then has fewer quotes; only an
    # escaped one could make up for that.
    if b"\\" in content or _quotes(document) != content.count(b'"'):
        return None
    values: list[Values | None] = []
    for tensor in document.inputs:
        found = None if tensor.data is UNSET else numbers(tensor.data, tensor.shape)
        if found is None and tensor.data is not UNSET:
            return None
        values.append(found)
    return document, values


def _quotes(document: Document[Any]) -> int:
    """How many quotes the document has when written without escapes; those of the data are only its keys'."""
    bare = [msgspec.structs.replace(tensor, data=UNSET) for tensor in document.inputs]
    keys = sum(tensor.data is not UNSET for tensor in document.inputs)
    return _encoder.encode(msgspec.structs.replace(document, inputs=bare)).count(b'"') + 2 * keys


def _read_carefully(content: bytes) -> Parsed:
    found = strict_json(content)
    try:
        document: Document[Any] = msgspec.convert(found, Document[Any])
        (document.id or "").encode()  # half a surrogate pair could not be sent back
    except msgspec.ValidationError as error:
        raise TensorError(f"Not an inference request: {str(error)[:_MESSAGE_LENGTH_SHOWN]}") from None
    except UnicodeEncodeError:
        raise TensorError("Not an inference request: its id or a key is no Unicode text") from None
    return document, [
        None if tensor.data in (None, UNSET) else json_values(tensor.data, tensor.shape, tensor.title)
        for tensor in document.inputs
    ]
