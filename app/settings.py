"""Every knob of the service: name, unit, default and why. Read once, at start; all problems are reported at once."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, ValidationError

from app.errors import SettingsError

VERSION = "0.1.0"
"""Of the service; a model's is another matter."""


Reference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
"""`module:name`, importable from the working directory or the environment."""

ModelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
"""One segment of a URL's path."""

Rate = Annotated[str, StringConstraints(pattern=r"^[1-9]\d{0,8}/(second|minute|hour|day)$")]

Duration = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def available_cpus() -> int:
    """CPUs this process may use: its affinity, and its cgroup's quota rounded up (a container's CPU limit)."""
    cpus = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cpus
    return cpus if quota == "max" else max(1, min(cpus, -(-int(quota) // int(period))))


def _runtime_dir() -> Path:
    shared_memory = Path("/dev/shm")  # noqa: S108 - the one place that is writable under a read-only root
    usable = os.access(shared_memory, os.W_OK)
    return (shared_memory if usable else Path(tempfile.gettempdir())) / f"anomaly-service-{secrets.token_hex(4)}"


class Settings(BaseModel):
    """The service's settings. Each field is the environment variable of the same name in capitals."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("0.0.0.0", description="Address to listen on.")  # noqa: S104 - a container's port mapping needs it
    port: int = Field(5000, ge=0, le=65535, description="TCP port to listen on; 0 picks a free one.")
    web_concurrency: int = Field(
        default_factory=available_cpus,
        ge=1,
        le=256,
        description="Worker processes. Default: the CPUs this container may use, since a worker never waits.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least severe level logged.")
    access_log: bool = Field(False, description="One `http.request` line per request, beside the events.")
    log_queue_lines: int = Field(
        20_000,
        ge=1,
        description="Log lines kept while stdout does not accept them; beyond it lines are dropped and counted.",
    )
    models_dir: Path = Field(Path("models"), description="The registry: ACTIVE, history.jsonl and the versions.")
    model_signing_key: SecretStr | None = Field(
        None,
        description="Signs manifests on register; once set, an unsigned or wrongly signed version is refused.",
    )
    shadow_version: str | None = Field(
        None,
        description="A version that scores live readings too, off the replies' way, to see where it decides otherwise.",
    )
    feature_schema: Reference = Field(
        "app.contract.schema:FeatureSchema", description="`module:Class` of the contract to serve."
    )
    baseline_rule: Reference = Field(
        "app.model.rule:z_score_rule", description="`module:function` of the last stage: rows in, scores out."
    )
    audit_dir: Path | None = Field(
        Path("audit"),
        description="Folder of the audit files, one JSON line per prediction; empty turns it off.",
    )
    audit_required: bool = Field(
        False,
        description="1: answer 503 rather than give a prediction whose audit line could not be written.",
    )
    audit_rotate_bytes: int = Field(
        256 * 1024 * 1024,
        ge=0,
        description="An audit file that would grow past this is closed and a new one begun; 0: only once a day.",
    )
    audit_keep_days: int = Field(
        30,
        ge=0,
        le=100_000,
        description="Days of audit files kept beside today's; older ones are removed; 0: for ever.",
    )
    audit_keep_bytes: int = Field(
        0, ge=0, description="Most bytes all audit files may hold; beyond it the oldest are removed; 0: no limit."
    )
    redact_features: str | None = Field(
        None,
        description="Features, separated by commas, whose values stay out of audit and log; replay needs them.",
    )
    api_keys_file: Path | None = Field(
        None,
        description="File of `SHA-256-of-key name` lines; once set, POST needs a key. Read again when it changes.",
    )
    protect_reads: bool = Field(False, description="1: `/`, `/metrics` and `/health/detailed` need a key too.")
    rate_limit: Rate | None = Field(
        None, description="Most POSTs per key, such as `100/second`, counted by each worker; empty: no limit."
    )
    rate_limit_storage: str = Field(
        "memory://",
        description="Where they are counted; a `redis://` address counts for all workers and replicas together.",
    )
    primary_deadline_ms: Duration = Field(250, description="Longest wait for the primary model, ms.")
    fallback_deadline_ms: Duration = Field(100, description="Longest wait for the fallback model, ms.")
    breaker_failures: int = Field(5, ge=1, description="Failures in a row that take a stage out of the chain.")
    max_abandoned_threads: int = Field(
        8,
        ge=1,
        description="Hung model calls a worker carries before it is replaced, while another one is ready.",
    )
    self_test_interval_s: Duration = Field(5, description="Seconds between self-tests of every stage.")
    reload_interval_s: Duration = Field(1, description="Seconds between looks at the registry's ACTIVE pointer.")
    request_timeout_s: Duration = Field(10, description="Longest a client may take to send one request, seconds.")
    max_connections: int = Field(
        900,
        ge=1,
        description="Connections a worker keeps; beyond it POST is answered 503 and the connection ends.",
    )
    max_lag_ms: Duration = Field(
        100,
        description="Longest wait for a worker that is asked for more than it can do, ms; the excess is answered 503.",
    )
    max_worker_memory_mb: int = Field(
        0, ge=0, description="A worker whose memory (RSS) grows past this is replaced; 0: no limit."
    )
    keep_alive_s: Duration = Field(75, description="Seconds an idle connection stays open; above most proxies' own.")
    worker_timeout_s: int = Field(30, ge=1, description="A worker silent for this long is killed and replaced.")
    drain_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        0,
        description="Seconds to keep serving after SIGTERM with readiness at 503, so that balancers notice.",
    )
    graceful_timeout_s: int = Field(
        25, ge=1, description="Seconds a worker has to finish after SIGTERM, drain included."
    )
    max_body_bytes: int = Field(4 * 1024 * 1024, ge=1, description="Largest request body, bytes; beyond it 413.")
    max_batch_rows: int = Field(10_000, ge=1, description="Most rows in one batch; beyond it 413.")
    model_name: ModelName = Field("anomaly", description="The model's name under `/v2/models/`.")
    otel_exporter_otlp_endpoint: Annotated[str, StringConstraints(pattern=r"^https?://\S+$")] | None = Field(
        None,
        description="Collector to send a span per request to, OTLP over HTTP; needs the extra `otel`.",
    )
    runtime_dir: Path = Field(
        default_factory=_runtime_dir,
        description="Scratch folder that the workers share; made at start, removed at exit. Default: in /dev/shm.",
    )


SECRETS = frozenset({"model_signing_key"})
"""Fields that may also be given as `NAME_FILE`, the path of a file that holds the value."""


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings in `environ` (default: the process's).

    Raises `SettingsError` that names every variable in error.
    """
    environ = os.environ if environ is None else environ
    problems: list[str] = []
    values: dict[str, object] = {
        name: environ[name.upper()] for name in Settings.model_fields if name.upper() in environ
    }
    for name in sorted(SECRETS):
        path = environ.get(f"{name.upper()}_FILE")
        if path is not None:
            values[name] = _secret(name, path, problems)
    for name in (
        "audit_dir", "model_signing_key", "shadow_version", "api_keys_file", "rate_limit", "otel_exporter_otlp_endpoint"
    ):  # fmt: skip
        if values.get(name) == "":
            values[name] = None
    settings = _validated(values, problems)
    if settings.drain_s >= settings.graceful_timeout_s:
        problems.append(
            f"DRAIN_S: {settings.drain_s:g} leaves nothing of GRACEFUL_TIMEOUT_S={settings.graceful_timeout_s}; "
            "lower it or raise the other"
        )
    if settings.rate_limit is not None and settings.api_keys_file is None:
        problems.append("RATE_LIMIT: it is counted per key; set API_KEYS_FILE or unset it")
    if problems:
        raise SettingsError(problems)
    return settings


def _secret(name: str, path: str, problems: list[str]) -> str:
    try:
        secret = Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        problems.append(f"{name.upper()}_FILE: cannot read {path}: {reason}; mount it or unset it")
        return ""
    if not secret:
        problems.append(f"{name.upper()}_FILE: {path} is empty; put the secret into it or unset it")
    return secret


def _validated(values: dict[str, object], problems: list[str]) -> Settings:
    """The settings; a value in error is noted and its default taken, so that all others are checked too."""
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        wrong = {str(item["loc"][0]): item for item in error.errors()}
    for name, item in wrong.items():
        given = "" if name in SECRETS else f", got {item['input']!r}"
        problems.append(f"{name.upper()}: {item['msg']}{given}")
    return Settings.model_validate({name: value for name, value in values.items() if name not in wrong})
