#!/usr/bin/env bash
# Starts a pod of each overlay in deploy/kubernetes with podman, and checks what the manifests promise: the probes
# answer, the process has no powers, only the volumes are writable, and SIGTERM drains before it ends.
#
#   deploy/pod-test.sh IMAGE [ENGINE...]
#
# ENGINE is podman 4.3 or later, arguments included. What of the manifests podman cannot do, and what is therefore not
# checked, stands at the head of deploy/pod.py. Needs a Python with PyYAML: PYTHON in the environment, default .venv/bin/python.
# Exit status 0 only if every check passed.
set -euo pipefail
cd "$(dirname "$0")/.."

image=${1:?usage: deploy/pod-test.sh IMAGE [ENGINE...]}
shift
read -r -a engine <<<"${*:-podman}"
python=${PYTHON:-.venv/bin/python}
ready_within_s=60
state=/var/lib/anomaly-service
work=$(mktemp -d)
pod=

take_down() {
  [ -n "$pod" ] || return 0
  "${engine[@]}" pod rm --force --time 0 "$pod" >/dev/null 2>&1 || true
  "${engine[@]}" volume rm --force "$pod-audit" "$pod-models" >/dev/null 2>&1 || true
  pod=
}
cleanup() {
  take_down
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
  echo "FAIL  $1"
  [ -z "${2:-}" ] || echo "      $2"
  [ -z "$pod" ] || "${engine[@]}" logs "$pod-anomaly-service" 2>&1 | tail -n 30 || true
  exit 1
} >&2

# check NAME COMMAND...: COMMAND must succeed; the last line it prints is shown.
check() {
  local name=$1 output
  shift
  output=$("$@" 2>&1) || fail "$name" "$output"
  output=${output##*$'\n'}
  echo "ok    $name${output:+: $output}"
}

inside() { "${engine[@]}" exec "$pod-anomaly-service" "$@"; }

# --- what is asked inside, as Python ------------------------------------------------------------------------

ask='
import http.client, json, os, sys
from app.contract.schema import FeatureSchema
path, expected = sys.argv[1:]
client = http.client.HTTPConnection("127.0.0.1", int(os.environ["PORT"]), timeout=5)
if path == "/predict":
    client.request("POST", path, json.dumps(FeatureSchema().example()), {"Content-Type": "application/json"})
else:
    client.request("GET", path)
reply = client.getresponse()
print(reply.status, reply.read().decode())
sys.exit(str(reply.status) != expected)
'

powerless='
import pathlib, sys
status = dict(line.split(":\t", 1) for line in pathlib.Path("/proc/1/status").read_text().splitlines())
found = {"uid": status["Uid"].split()[0], "gid": status["Gid"].split()[0], "capabilities": int(status["CapEff"], 16),
         "no new privileges": status["NoNewPrivs"], "seccomp": status["Seccomp"]}
print(found)
sys.exit(list(found.values()) != ["10001", "10001", 0, "1", "2"])
'

writable='
import os, sys
def mounts():
    for line in open("/proc/self/mountinfo"):
        fields = line.split()
        if not fields[4].startswith(("/proc", "/sys", "/dev")) or fields[4] == "/dev/shm":
            yield fields[4], "rw" in fields[5].split(",")
found = sorted(path for path, rw in mounts() if rw and os.access(path, os.W_OK))
print(" ".join(found))
sys.exit(found != sorted(sys.argv[1:]))
'

# Where it lies, and that the report finds it from the volume's own folder.
audited='
import json, os, pathlib, subprocess, sys
lines = [line for file in pathlib.Path(os.environ["AUDIT_DIR"]).glob("*.jsonl") for line in file.open()]
report = subprocess.run(["flask", "report", "--json", "--audit", sys.argv[1]], capture_output=True, text=True)
served = json.loads(report.stdout)["served"]
print(len(lines), "line(s) in", os.environ["AUDIT_DIR"], "and", served, "reported")
sys.exit(not 0 < len(lines) == served)
'

# --- the checks ---------------------------------------------------------------------------------------------

free_port() {
  local port
  while port=$((20000 + RANDOM)); do
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
}

wait_until_ready() {
  local started=$SECONDS
  until inside python -c "$ask" /health/ready 200 >/dev/null 2>&1; do
    [ $((SECONDS - started)) -lt "$ready_within_s" ] || { echo "not ready after $ready_within_s s"; return 1; }
    sleep 0.5
  done
  echo "after $((SECONDS - started)) s"
}

drains() { # GRACE_S: readiness falls first, predictions go on, and then it leaves of its own accord
  local started=$SECONDS status
  # Not `stop`: podman runs no command in a container that it is stopping, so nothing could be asked.
  "${engine[@]}" kill --signal TERM "$pod-anomaly-service" >/dev/null
  until inside python -c "$ask" /health/ready 503 >/dev/null 2>&1; do
    [ $((SECONDS - started)) -lt "$1" ] || { echo "readiness was never withdrawn"; return 1; }
  done
  inside python -c "$ask" /predict 200 >/dev/null || { echo "it no longer answered while it drained"; return 1; }
  status=$(timeout "$1" "${engine[@]}" wait "$pod-anomaly-service") || { echo "still there after $1 s"; return 1; }
  echo "readiness 503 while predictions went on, then exit status $status, all in $((SECONDS - started)) s of $1"
  [ "$status" = 0 ]
}

test_pod() { # OVERLAY WRITABLE...
  local overlay=$1 port grace_s
  shift
  port=$(free_port)
  pod=anomaly-$port
  "$python" deploy/pod.py "deploy/kubernetes/overlays/$overlay" "$image" "$port" >"$work/$overlay.yaml"
  grace_s=$(sed -n 's/^ *terminationGracePeriodSeconds: //p' "$work/$overlay.yaml")
  "${engine[@]}" kube play "$work/$overlay.yaml" >"$work/log" 2>&1 || fail "$overlay: the pod starts" "$(cat "$work/log")"
  check "$overlay: it becomes ready" wait_until_ready
  check "$overlay: it is alive" inside python -c "$ask" /health/live 200
  check "$overlay: a prediction succeeds" inside python -c "$ask" /predict 200
  check "$overlay: the audit's volume holds it" inside python -c "$audited" $state/audit
  check "$overlay: the process has no powers" inside python -c "$powerless"
  check "$overlay: only these are writable" inside python -c "$writable" "$@"
  check "$overlay: the registry is whole" inside flask models verify
  check "$overlay: SIGTERM drains" drains "$grace_s"
  take_down
}

test_pod baked /dev/shm $state/audit
test_pod volume /dev/shm $state/audit $state/models
