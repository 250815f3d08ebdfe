# `make serve` and `make test` are all a fresh machine needs: Python 3.11 and make, nothing else.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin

# A machine that forbids bytecode would compile every library anew at each start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help serve install test e2e fuzz soak schemathesis chaos screenshots check lint types lock audit replay-traffic loadtest profile bench bench-peers check-mlflow lock-peers bench-report bench-score \
  image image-test image-diff sbom pod-test prometheus-rule clean

help:            ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

serve: install   ## start the service on PORT (default 5000)
	exec $(BIN)/gunicorn

install: $(VENV)/.installed   ## make .venv with the locked requirements

test: $(VENV)/.installed-dev  ## run the tests
	$(BIN)/python -m pytest

e2e: $(VENV)/.installed-dev   ## what takes longer or needs more: a browser, schemathesis, Prometheus, nginx (Debian: chromium nginx-light prometheus prometheus-alertmanager)
	$(BIN)/python -m pytest -n 2 tests/browser tests/bulk tests/description tests/documents tests/e2e/soak tests/e2e/telemetry tests/e2e/versions tests/loadtest tests/observability tests/proxy tests/readiness tests/replicas

chaos: $(VENV)/.installed-dev ## faults under load and which requests they cost; ROW=NAME injects one (all: ten minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.chaos $(if $(ROW),--row $(ROW)) $(ARGS)

screenshots: $(VENV)/.installed-dev  ## take the README's pictures of the page anew (needs chromium)
	$(BIN)/python -m tests.browser.screenshots docs

schemathesis: $(VENV)/.installed-dev  ## random requests made of /openapi.json, against a service of its own
	$(BIN)/python -m pytest -n 0 -s tests/description

SEED ?= 0
REQUESTS ?= 100000
fuzz: $(VENV)/.installed-dev  ## REQUESTS (100000) mutated requests from SEED against two workers; not 0 on any finding
	$(BIN)/python -m tests.fuzz --requests $(REQUESTS) --seed $(SEED)

MINUTES ?= 30
soak: $(VENV)/.installed-dev  ## MINUTES (30) of mixed traffic and activations: memory, files, threads before and after
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.soak --minutes $(MINUTES) $(ARGS)

check: lint types test        ## everything that must be green: ruff, mypy --strict, tests

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

lock: $(VENV)/.installed-dev  ## refresh requirements*.txt from requirements*.in
	$(BIN)/uv pip compile --quiet requirements.in -o requirements.txt
	$(BIN)/uv pip compile --quiet requirements-dev.in -o requirements-dev.txt

audit: $(VENV)/.installed-dev ## known vulnerabilities of every pin; one that could not be checked is a failure
	$(BIN)/python deploy/audit_dependencies.py requirements.txt requirements-dev.txt

# The stamps make a second run instant and keep it off the network.
$(VENV)/.installed: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

DATA ?=
replay-traffic: $(VENV)/.installed-dev  ## send the rows of DATA=FILE.csv[.gz] through a service of two workers
	@test -n "$(DATA)" || { echo "usage: make replay-traffic DATA=FILE.csv[.gz]" >&2; exit 2; }
	$(BIN)/python benchmarks/replay_traffic.py "$(DATA)"

URL ?=
SLO ?= p99=50ms,success=99.9
USERS ?= 20
DURATION ?= 30s
loadtest: $(VENV)/.installed-dev  ## mixed traffic of USERS (20) for DURATION (30s), to URL=http://... or a service of its own; not 0 where SLO is missed
	$(BIN)/python -m benchmarks.loadtest $(if $(URL),--url "$(URL)") --slo "$(SLO)" --users "$(USERS)" --duration "$(DURATION)" $(ARGS)

profile: $(VENV)/.installed-dev  ## where the time of one prediction goes: a call table
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python benchmarks/call_table.py

bench: $(VENV)/.installed-dev  ## speed beside an empty Flask route, start-up, memory (needs wrk)
	$(BIN)/python benchmarks/hot_path.py
	$(BIN)/python benchmarks/bulk.py
	$(BIN)/python benchmarks/start_up.py

PEERS := $(patsubst %/requirements.txt,%,$(wildcard benchmarks/peers/*/requirements.txt))
ARGS ?=
bench-peers: $(VENV)/.installed-dev  ## this service beside other model servers, each in a .venv of its own (needs wrk)
	-@$(MAKE) --no-print-directory --keep-going $(PEERS:%=%/.venv/.installed)  # one that fails is named in the table
	$(BIN)/python benchmarks/peers.py $(ARGS)

benchmarks/peers/%/.venv/.installed: benchmarks/peers/%/requirements.txt
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

check-mlflow: $(VENV)/.installed-dev benchmarks/peers/mlflow/.venv/.installed  ## an export in the real MLflow, and back
	@set -e; work=$$(mktemp -d); trap 'rm -r "$$work"' EXIT; \
	$(BIN)/flask models export --mlflow $$work/exported; \
	benchmarks/peers/mlflow/.venv/bin/python benchmarks/peers/mlflow/round_trip.py $$work/exported models $$work/saved; \
	MODELS_DIR=$$work/models $(BIN)/flask models register --mlflow $$work/saved

lock-peers: $(VENV)/.installed-dev  ## refresh the peers' requirements.txt from their requirements.in
	for peer in $(PEERS); do \
	  (cd $$peer && $(abspath $(BIN))/uv pip compile --no-config --quiet --upgrade --python-version 3.11 --python-platform linux \
	    --no-emit-index-url --no-header requirements.in -o requirements.txt) || exit 1; done

LINES ?= 10000000
bench-report: $(VENV)/.installed-dev  ## seconds and memory of flask report over LINES (10 million) audit lines
	$(BIN)/python benchmarks/report_size.py --lines $(LINES)

ROWS ?= 50000000
bench-score: $(VENV)/.installed-dev  ## flask score beside predict_proba, 1 and 2 processes, memory over ROWS (50 million)
	$(BIN)/python benchmarks/score_size.py --rows $(ROWS) $(ARGS)

IMAGE ?= anomaly-service
ENGINE ?= $(shell command -v docker >/dev/null && docker info >/dev/null 2>&1 && echo docker || echo podman)
image:           ## build the container image
	$(ENGINE) build -t $(IMAGE) --build-arg REVISION=$$(git rev-parse HEAD) .

image-test:      ## run the image and check that it behaves: healthy, non-root, read-only root, clean SIGTERM
	deploy/image-test.sh $(IMAGE) $(ENGINE)

image-diff:      ## build the image twice without cache and compare every file of the two
	deploy/image-diff.sh $(ENGINE)

sbom: $(VENV)/.installed-dev  ## what is in the image, as CycloneDX: dist/sbom.json
	@mkdir -p dist
	$(BIN)/python deploy/sbom.py $(IMAGE) $(ENGINE) > dist/sbom.json

pod-test: $(VENV)/.installed-dev  ## start a pod of each Kubernetes overlay with podman and check it
	deploy/pod-test.sh $(IMAGE) $(ENGINE)

prometheus-rule: $(VENV)/.installed-dev  ## the Prometheus rules as an object for Kubernetes
	$(BIN)/python deploy/prometheus_rule.py > deploy/kubernetes/monitoring/prometheus-rule.yaml

clean:           ## remove what was built
	rm -rf $(VENV) benchmarks/peers/*/.venv .mypy_cache .pytest_cache .ruff_cache .hypothesis
