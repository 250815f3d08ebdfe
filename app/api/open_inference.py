"""`/v2`: the Open Inference Protocol (REST) with the binary tensor data extension."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, request
from werkzeug.exceptions import BadRequest, NotFound

from app.api.exchange import BINARY, UNCACHED, Environ, Reply, read_tensor_body, reply, request_context, respond
from app.api.inference_reply import inference_reply
from app.api.lean import LeanFlask
from app.api.replies import inference as replies
from app.contract.inference import OUTPUTS
from app.contract.schema import FeatureSchema
from app.serving.health import HealthCheck
from app.serving.reload import ModelFollower
from app.serving.service import PredictionService
from app.settings import VERSION

JSON_SIZE = "Inference-Header-Content-Length"


def add_open_inference_views(
    app: LeanFlask,
    service: PredictionService,
    check: HealthCheck,
    follower: ModelFollower,
    schema: FeatureSchema,
    *,
    model_name: str,
    max_body_bytes: int,
) -> None:
    """The protocol's endpoints for the one model under the name `model_name`; its only version is the active one."""
    views = Blueprint("open_inference", __name__, url_prefix="/v2")

    def find(name: str, version: str | None) -> None:
        if name != model_name:
            raise NotFound(f"There is no model {name[:100]!r} here, only {model_name!r}")
        active = follower.chain.version
        if version is not None and version != active:
            raise NotFound(f"Version {version[:100]!r} of {model_name!r} does not serve; {active or 'none'} does")

    @views.get("")
    def server() -> Reply:
        return _respond({"name": "anomaly-service", "version": VERSION, "extensions": ["binary_tensor_data"]})

    @views.get("/health/live")
    def live() -> Reply:
        return _respond({"live": True})

    @views.get("/health/ready")
    def ready() -> Reply:
        return _readiness(check, {})

    @views.get("/models/<name>")
    @views.get("/models/<name>/versions/<version>")
    def model(name: str, version: str | None = None) -> Reply:
        find(name, version)
        return _respond(_metadata(model_name, follower.chain.version, schema))

    @views.get("/models/<name>/ready")
    @views.get("/models/<name>/versions/<version>/ready")
    def model_ready(name: str, version: str | None = None) -> Reply:
        find(name, version)
        return _readiness(check, {"name": model_name})

    @views.post("/models/<name>/infer")
    @views.post("/models/<name>/versions/<version>/infer")
    def infer_with(name: str, version: str | None = None) -> Reply:
        find(name, version)
        return infer(request.environ)

    def infer(environ: Environ) -> Reply:
        context = request_context(environ)
        asked, batch = service.infer(read_tensor_body(environ, max_body_bytes), _json_size(environ), context)
        body, json_size = inference_reply(asked, batch, model_name=model_name, request_id=context.request_id)
        if json_size is None:
            return reply(environ, body, 200, "application/json")
        return reply(environ, body, 200, BINARY, [(JSON_SIZE, str(json_size))])

    app.register_blueprint(views)
    app.post_directly(f"/v2/models/{model_name}/infer", infer)


def _json_size(environ: Environ) -> int | None:
    size = environ.get("HTTP_INFERENCE_HEADER_CONTENT_LENGTH")
    if size is None:
        return None
    if not (size.isascii() and size.isdigit() and len(size) < 20):
        raise BadRequest(f"{JSON_SIZE} is not a number of bytes")
    return int(size)


def _respond(document: Mapping[str, Any], status: int = 200) -> Reply:
    return respond(request.environ, document, status, UNCACHED)


def _readiness(check: HealthCheck, members: dict[str, Any]) -> Reply:
    if check.ready:
        return _respond({**members, "ready": True})
    return _respond({**members, "ready": False, "error": "Not ready; GET /health says why"}, 503)


def _metadata(name: str, version: str | None, schema: FeatureSchema) -> replies.Model:
    return {
        "name": name,
        "versions": [version] if version is not None else [],
        "platform": "scikit-learn",
        "inputs": [{"name": "readings", "datatype": "FP64", "shape": [-1, len(schema.names)]}],
        "outputs": [{"name": output, "datatype": datatype, "shape": [-1]} for output, datatype in OUTPUTS.items()],
    }
