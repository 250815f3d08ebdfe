"""The composition root: the one place where objects are built and wired."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Flask
from structlog.typing import FilteringBoundLogger

from app.api.dashboard import dashboard_views
from app.api.docs import docs_views
from app.api.errors import register_error_handlers
from app.api.feedback import feedback_views
from app.api.health import health_views
from app.api.lean import LeanFlask
from app.api.metrics import metrics_views
from app.api.open_inference import add_open_inference_views
from app.api.predict import add_predict_views, failure_members
from app.contract.inference import InferenceReader
from app.contract.schema import FeatureSchema
from app.errors import SettingsError
from app.model.manifest import current_environment
from app.model.registry import Registry
from app.serving.background import Background
from app.serving.board import WorkerBoard
from app.serving.chain import PROOF_DEADLINE_S, ChainBuilder, Rule
from app.serving.departure import DepartureCheck
from app.serving.feedback import FeedbackService
from app.serving.gauges import StateGauges
from app.serving.health import HealthCheck
from app.serving.lines import Lines
from app.serving.quarantine import Quarantine
from app.serving.recorder import Recorder
from app.serving.reload import ModelFollower
from app.serving.service import PredictionService
from app.serving.shadow import Shadow
from app.serving.shadow_model import ShadowModel
from app.settings import Settings, load_settings
from app.telemetry.audit import PredictionLogger
from app.telemetry.logs import LogSink, event_logger, route_library_logs
from app.telemetry.retention import AuditRetention
from app.telemetry.tally import Tally

if TYPE_CHECKING:
    from app.api.access import Gate

EXTENSION = "anomaly"


@dataclass(frozen=True, slots=True)
class Components:
    """What servers and commands need of a built app: `app.extensions["anomaly"]`."""

    settings: Settings
    schema: FeatureSchema
    registry: Registry
    health: HealthCheck
    background: Background
    tally: Tally
    sink: LogSink
    log: FilteringBoundLogger


def create_app(settings: Settings | None = None) -> Flask:
    """The WSGI application.

    Loads the active model but calls nothing of it and starts no thread, so that it may run before a fork. The
    server calls `start` in each worker; one that knows no such hook is served by the first request.
    """
    if settings is None:
        try:
            return create_app(load_settings())
        except SettingsError as error:
            raise SystemExit(str(error)) from None  # whoever starts the process reads the list, not a traceback
    from_command_line = os.environ.get("FLASK_RUN_FROM_CLI") == "true"
    schema, rule = _contract(settings)
    # A command's stdout is its result; its log goes to stderr.
    sink = LogSink(fd=2 if from_command_line else 1, limit=settings.log_queue_lines)
    route_library_logs(sink, settings.log_level)
    log = event_logger(sink, settings.log_level)
    signing_key = settings.model_signing_key.get_secret_value().encode() if settings.model_signing_key else None
    registry = Registry(settings.models_dir, schema, signing_key)
    quarantine = Quarantine(settings.runtime_dir / "quarantine")
    follower = ModelFollower(registry, _chain_builder(settings, schema, rule), quarantine, log)
    audit = PredictionLogger(settings.audit_dir, settings.audit_rotate_bytes)
    retention = AuditRetention(
        settings.audit_dir, log, keep_days=settings.audit_keep_days, keep_bytes=settings.audit_keep_bytes
    )
    board = WorkerBoard(settings.runtime_dir / "board")
    tally = Tally(schema.names, lambda: follower.chain.bins, settings.runtime_dir / "metrics")
    shadow = _shadow(settings, registry, _chain_builder(settings, schema, rule), follower, log, tally)
    health = HealthCheck(
        follower, audit, board, sink, log, tally,
        audit_required=settings.audit_required, stale_after_s=3 * settings.self_test_interval_s + 6 * PROOF_DEADLINE_S,
        shadow=shadow,
    )  # fmt: skip
    recorder = Recorder(
        Lines(schema, _redacted(settings, schema)), audit, sink, board, health, tally,
        audit_required=settings.audit_required, log_level=settings.log_level,
    )  # fmt: skip
    service = PredictionService(
        schema, follower, health, recorder, InferenceReader(schema, settings.max_batch_rows),
        max_batch_rows=settings.max_batch_rows, shadow=shadow,
    )  # fmt: skip
    feedback = FeedbackService(
        registry.holds, audit, health, sink, log, tally,
        max_entries=settings.max_batch_rows, audit_required=settings.audit_required,
    )  # fmt: skip
    background = Background(
        follower, health, board, DepartureCheck(follower, board, settings.max_worker_memory_mb), retention, sink, log,
        tally, reload_interval_s=settings.reload_interval_s, self_test_interval_s=settings.self_test_interval_s,
        shadow=shadow,
    )  # fmt: skip

    app = LeanFlask("app", static_folder=None)
    app.extensions[EXTENSION] = Components(settings, schema, registry, health, background, tally, sink, log)
    add_predict_views(app, service, settings.max_body_bytes)
    add_open_inference_views(
        app, service, health, follower, schema,
        model_name=settings.model_name, max_body_bytes=settings.max_body_bytes,
    )  # fmt: skip
    environment = current_environment()
    app.register_blueprint(health_views(health, follower, environment))
    app.register_blueprint(feedback_views(feedback, settings.max_body_bytes))
    app.register_blueprint(dashboard_views(health, follower, registry, schema, environment))
    app.register_blueprint(metrics_views(tally, StateGauges(health, follower, environment)))
    gate = app.gate = _gate(settings, log)
    app.register_blueprint(
        docs_views(schema, gate, model_name=settings.model_name, max_batch_rows=settings.max_batch_rows)
    )
    register_error_handlers(app, log, tally.refused, partial(failure_members, follower))
    if from_command_line:
        _add_commands(app, settings, schema, registry, _chain_builder(settings, schema, rule))
    else:
        follower.load()
        _export_spans(app, settings, log)
    _start_on_first_request(app, background)
    return app


def _contract(settings: Settings) -> tuple[FeatureSchema, Rule]:
    schema_class = _imported("FEATURE_SCHEMA", settings.feature_schema)
    if not (isinstance(schema_class, type) and issubclass(schema_class, FeatureSchema)):
        raise SettingsError([f"FEATURE_SCHEMA: {settings.feature_schema} is not a subclass of FeatureSchema"])
    schema = schema_class()
    rule = _imported("BASELINE_RULE", settings.baseline_rule)
    default_rule = Settings.model_fields["baseline_rule"].default
    if settings.baseline_rule == default_rule and schema.names != FeatureSchema().names:
        raise SettingsError(
            [f"BASELINE_RULE: {default_rule} knows only the default features; name a rule for yours as module:function"]
        )
    return schema, rule


def _redacted(settings: Settings, schema: FeatureSchema) -> frozenset[str]:
    names = frozenset(name.strip() for name in (settings.redact_features or "").split(",") if name.strip())
    if unknown := sorted(names - set(schema.names)):
        raise SettingsError([f"REDACT_FEATURES: {unknown} are no features; there are {list(schema.names)}"])
    return names


def _imported(variable: str, reference: str) -> Any:
    module, _, name = reference.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise SettingsError([f"{variable}: cannot import {reference}: {error}"]) from error


def _chain_builder(settings: Settings, schema: FeatureSchema, rule: Rule) -> ChainBuilder:
    return ChainBuilder(
        schema,
        rule,
        primary_deadline_s=settings.primary_deadline_ms / 1000,
        fallback_deadline_s=settings.fallback_deadline_ms / 1000,
        breaker_failures=settings.breaker_failures,
        max_abandoned_threads=settings.max_abandoned_threads,
    )


def _shadow(
    settings: Settings,
    registry: Registry,
    builder: ChainBuilder,
    follower: ModelFollower,
    log: FilteringBoundLogger,
    tally: Tally,
) -> Shadow | None:
    if settings.shadow_version is None:
        return None
    builder = replace(builder, max_abandoned_threads=1)
    quarantine = Quarantine(settings.runtime_dir / "shadow")
    model = ShadowModel(settings.shadow_version, registry, builder, follower, quarantine, log)
    return Shadow(model, log, tally, look_interval_s=settings.reload_interval_s)


def _gate(settings: Settings, log: FilteringBoundLogger) -> Gate | None:
    if settings.api_keys_file is None:
        return None
    from app.api.access import Gate, KeyRing  # a service without keys need not load what counts their use

    return Gate(
        KeyRing(settings.api_keys_file, log), protect_reads=settings.protect_reads,
        rate=settings.rate_limit, rate_storage=settings.rate_limit_storage,
    )  # fmt: skip


def _add_commands(
    app: Flask, settings: Settings, schema: FeatureSchema, registry: Registry, builder: ChainBuilder
) -> None:
    from app.commands import all_commands
    from app.commands.trials import Trials

    trials = Trials(schema, registry, builder, settings.audit_dir, settings.max_batch_rows)
    for command in all_commands(trials, settings):
        app.cli.add_command(command)


def _export_spans(app: Flask, settings: Settings, log: FilteringBoundLogger) -> None:
    """Without a collector, requests never meet any of it. Without the packages the service goes on without spans: the
    variable may be set for all services of a cluster.
    """
    endpoint = settings.otel_exporter_otlp_endpoint
    if endpoint is None:
        return
    try:
        from app.telemetry.otel import Traced, otlp
    except ImportError as error:
        log.warning("tracing.unavailable", error=f"{error}; install anomaly-service[otel]")
        return
    app.wsgi_app = Traced(app.wsgi_app, partial(otlp, endpoint))  # type: ignore[method-assign]


def _start_on_first_request(app: Flask, background: Background) -> None:
    """For servers that know no worker hook; one of ours has started before, and pays nothing per request."""
    plain = app.wsgi_app

    def start_first(environ: Any, start_response: Any) -> Any:
        background.start()
        app.wsgi_app = plain  # type: ignore[method-assign]
        return plain(environ, start_response)

    app.wsgi_app = start_first  # type: ignore[method-assign]
