"""What a test cannot run as it stands: who runs the same thing, or what is the nearest check of it that is honest."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Proof:
    """A file of this project that runs the same thing, or checks what it needs; `words` must stand in it."""

    path: str
    words: str
    why: str
    """Why it is not run here."""

    def __str__(self) -> str:
        return f"{self.path}: {self.words}"


_SUITE = Proof(".ci/run", "make check", "it runs this very test")
_SERVED = Proof("tests/documents/test_serving.py", "def test_what_serves_for_ever_is_ready", "it serves for ever")
_LOCKED = Proof("tests/unit/test_locks.py", '"uv"), "pip", "compile", "--quiet"', "it asks the package index")
_AUDITED = Proof("tests/unit/deploy/test_audit_dependencies.py", "def test_", "it asks an advisory database")
_IMAGE = Proof(
    "deploy/image-test.sh",
    "run --detach --read-only --cap-drop=ALL --security-opt=no-new-privileges",
    "it needs a container engine",
)
_COMPOSE = Proof(
    "tests/unit/deploy/test_compose.py", "def test_whatever_is_mounted_exists", "it needs a container engine"
)
_APPLIED = Proof("tests/unit/deploy/test_kubernetes.py", "def test_every_object_is_valid", "it needs a cluster")
_ROLLED = Proof(
    "tests/unit/test_documents.py", "def test_kubectl_speaks_of_objects_that_are_there", "it needs a cluster"
)
_KEYS = Proof(
    "deploy/kubernetes/components/api-keys/deployment.yaml", "secretName: anomaly-service-api-keys", "a cluster"
)
_MLFLOW = Proof("benchmarks/peer_servers.py", '"models", "serve", "--model-uri"', "it needs MLflow, and some minutes")
_PROMETHEUS = Proof(
    "tests/observability/test_rules.py", '"check", "config", str(RULES / "prometheus.yml")', "it serves for ever"
)
_LOADED = Proof("tests/loadtest/test_loadtest.py", "def test_", "it takes half a minute, or needs a service elsewhere")
_PACKAGES = Proof("pyproject.toml", "skops = [", "it installs packages")
_EXTRA = Proof("pyproject.toml", "otel = [", "it installs packages")

ELSEWHERE = {
    "make serve": _SERVED,
    "make test": _SUITE,
    "make check": _SUITE,
    "make lock": _LOCKED,
    "make audit": _AUDITED,
    "make loadtest": _LOADED,
    "make loadtest URL=https://staging.example:8443 USERS=50 DURATION=10m "
    "SLO=p99=80ms,p99.9=0.5s,success=99.95": _LOADED,
    "make image": _IMAGE,
    "make image-test": _IMAGE,
    "docker run --detach --name anomaly-service --read-only --cap-drop=ALL --security-opt=no-new-privileges "
    "--shm-size=128m --publish 5000:5000 --volume audit:/var/lib/anomaly-service/audit anomaly-service": _IMAGE,
    "docker compose up": _COMPOSE,
    "docker compose up --detach": _COMPOSE,
    "kubectl diff -k deploy/kubernetes/overlays/baked": _APPLIED,
    "kubectl apply -k deploy/kubernetes/overlays/baked": _APPLIED,
    "kubectl rollout status deployment/anomaly-service --timeout=5m": _ROLLED,
    "kubectl rollout history deployment/anomaly-service": _ROLLED,
    "kubectl rollout undo deployment/anomaly-service": _ROLLED,
    "kubectl rollout pause deployment/anomaly-service": _ROLLED,
    "kubectl rollout resume deployment/anomaly-service": _ROLLED,
    "kubectl create secret generic anomaly-service-api-keys --from-file=keys.txt --dry-run=client --output=yaml "
    "| kubectl apply -f -": _KEYS,
    "prometheus --config.file=deploy/prometheus/prometheus.yml": _PROMETHEUS,
    "mlflow models serve --model-uri for-mlflow --port 5001 --env-manager local": _MLFLOW,
}
"""Every command of a `console` block."""

PROGRAMS = ("docker ", "podman ", "kubectl ", "pip ", "apt-get ", "mlflow ", "prometheus ", ".venv/bin/python ")

SPOKEN_OF = {
    ".venv/bin/python -m benchmarks.loadtest --slo p99=50ms,success=99.9": _LOADED,
    ".venv/bin/python -m pip install -e '.[otel]'": _EXTRA,
    "pip install skops": _PACKAGES,
    "apt-get install wrk": Proof("Makefile", "needs wrk", "it installs packages"),
    "docker ps -a": _IMAGE,
    "docker exec anomaly-service flask report": Proof("deploy/image-test.sh", "inside flask models list", "an engine"),
    "kubectl describe pod": _ROLLED,
    "kubectl port-forward": _ROLLED,
    "kubectl exec deploy/anomaly-service -- flask report": _ROLLED,
}
"""Commands of other programs within sentences, beside those above."""
