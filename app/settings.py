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

Reference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
"""`module:name`, importable from the working directory or the environment."""


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
    primary_deadline_ms: float = Field(250, gt=0, description="Longest wait for the primary model, ms.")
    fallback_deadline_ms: float = Field(100, gt=0, description="Longest wait for the fallback model, ms.")
    breaker_failures: int = Field(5, ge=1, description="Failures in a row that take a stage out of the chain.")
    max_abandoned_threads: int = Field(
        4, ge=1, description="Hung model calls a worker carries before it leaves and is replaced."
    )
    self_test_interval_s: float = Field(5, gt=0, description="Seconds between self-tests of every stage.")
    reload_interval_s: float = Field(1, gt=0, description="Seconds between looks at the registry's ACTIVE pointer.")
    request_timeout_s: float = Field(10, gt=0, description="Longest a client may take to send one request, seconds.")
    keep_alive_s: float = Field(75, gt=0, description="Seconds an idle connection stays open; above most proxies' own.")
    worker_timeout_s: int = Field(30, ge=1, description="A worker silent for this long is killed and replaced.")
    drain_s: float = Field(
        0,
        ge=0,
        description="Seconds to keep serving after SIGTERM with readiness at 503, so that balancers notice.",
    )
    graceful_timeout_s: int = Field(
        25, ge=1, description="Seconds a worker has to finish after SIGTERM, drain included."
    )
    max_body_bytes: int = Field(4 * 1024 * 1024, ge=1, description="Largest request body, bytes; beyond it 413.")
    max_batch_rows: int = Field(10_000, ge=1, description="Most rows in one batch; beyond it 413.")
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
            try:
                values[name] = Path(path).read_text().strip()
            except OSError as error:
                problems.append(f"{name.upper()}_FILE: cannot read {path}: {error.strerror}; mount it or unset it")
    for name in ("audit_dir", "model_signing_key"):
        if values.get(name) == "":
            values[name] = None
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        for item in error.errors():
            name = str(item["loc"][0]).upper()
            given = "" if name.lower() in SECRETS else f", got {item['input']!r}"
            problems.append(f"{name}: {item['msg']}{given}")
        settings = None
    if settings is not None and settings.drain_s >= settings.graceful_timeout_s:
        problems.append(
            f"DRAIN_S: {settings.drain_s:g} leaves nothing of GRACEFUL_TIMEOUT_S={settings.graceful_timeout_s}; "
            "lower it or raise the other"
        )
    if problems or settings is None:
        raise SettingsError(problems)
    return settings
