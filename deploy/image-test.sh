#!/usr/bin/env bash
# Runs a built image under the strictest settings an orchestrator would give it, and checks that it behaves.
#
#   deploy/image-test.sh IMAGE [ENGINE...]
#
# ENGINE is a docker-compatible command, arguments included; default: docker where its daemon answers, else podman.
# RUN_ARGS in the environment are further arguments of `run`, for instance RUN_ARGS=--network=host.
# Everything is asked from inside the container, with the Python that is there: nothing but bash and the engine is
# needed here. Exit status 0 only if every check passed; the first failure shows the container's log.
set -euo pipefail

image=${1:?usage: deploy/image-test.sh IMAGE [ENGINE...]}
shift
if [ $# -gt 0 ]; then
  read -r -a engine <<<"$*"
elif command -v docker >/dev/null && docker info >/dev/null 2>&1; then
  engine=(docker)
else
  engine=(podman)
fi
read -r -a run_args <<<"${RUN_ARGS:-}"

ready_within_s=60
grace_s=30 # above GRACEFUL_TIMEOUT_S, the longest the service itself allows a shutdown to take
container=

cleanup() {
  if [ -n "$container" ]; then
    "${engine[@]}" rm --force --volumes "$container" >/dev/null 2>&1 || true
  fi
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

fail() {
  echo "FAIL  $1"
  [ -z "${2:-}" ] || echo "      $2"
  if [ -n "$container" ]; then
    echo "--- the container's log:"
    "${engine[@]}" logs "$container" 2>&1 | tail -n 50 || true
  fi
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

inside() { "${engine[@]}" exec "$container" "$@"; }
inspect() { "${engine[@]}" inspect --format "$1" "$container"; }

free_port() {
  local port
  while port=$((20000 + RANDOM)); do
    # A port that nobody answers on is free enough: only with --network=host is it shared at all.
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
}

# --- what is asked inside, as Python ------------------------------------------------------------------------

get_path='
import http.client, os, sys
client = http.client.HTTPConnection("127.0.0.1", int(os.environ["PORT"]), timeout=5)
client.request("GET", sys.argv[1])
reply = client.getresponse()
print(reply.status, reply.read().decode())
sys.exit(reply.status != 200)
'

predict='
import http.client, json, os, sys
from app.contract.schema import FeatureSchema
client = http.client.HTTPConnection("127.0.0.1", int(os.environ["PORT"]), timeout=5)
headers = {"Content-Type": "application/json", "X-Request-ID": sys.argv[1]}
client.request("POST", "/predict", json.dumps(FeatureSchema().example()), headers)
reply = client.getresponse()
body = reply.read().decode()
print(reply.status, body)
sys.exit(not (reply.status == 200 and json.loads(body)["success"]))
'

audited='
import json, os, pathlib, sys
files = pathlib.Path(os.environ["AUDIT_DIR"]).glob("*.jsonl")
lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
found = [line for line in lines if line["request_id"] == sys.argv[1]]
print(f"{len(found)} line(s) of", sys.argv[1])
sys.exit(not (len(found) == 1 and found[0]["success"]))
'

# Process 1 is the service; an exec could have been given other rights.
powerless='
import pathlib, sys
status = dict(line.split(":\t", 1) for line in pathlib.Path("/proc/1/status").read_text().splitlines())
uids, capabilities = status["Uid"].split(), int(status["CapEff"], 16)
print("uid", uids[0], "capabilities", capabilities, "no new privileges", status["NoNewPrivs"])
sys.exit("0" in uids or capabilities != 0 or status["NoNewPrivs"] != "1")
'

# Not any failure will do: a user without rights could not write to / in the first place.
read_only='
import errno, os, sys
for path in ("/probe", os.path.abspath("probe")):
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
    except OSError as error:
        if error.errno != errno.EROFS:
            sys.exit(f"{path}: {error.strerror}")
    else:
        sys.exit(f"{path} was written")
'

# Runs a command beside a server that answers every request with one status, and exits as the command does.
beside='
import http.server, os, subprocess, sys, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(sys.argv[1]))
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
environ = {**os.environ, "PORT": str(server.server_port)}
sys.exit(subprocess.run(sys.argv[2:], env=environ).returncode)
'

# --- the checks ---------------------------------------------------------------------------------------------

label_tells_python() {
  local label python
  label=$("${engine[@]}" image inspect --format '{{index .Config.Labels "python.version"}}' "$image")
  python=$(inside python -c "import platform; print(platform.python_version())")
  echo "label ${label:-missing}, Python $python"
  [ "$label" = "$python" ]
}

wait_until_ready() {
  local started=$SECONDS
  until inside python -c "$get_path" /health/ready >/dev/null 2>&1; do
    [ "$(inspect '{{.State.Running}}')" = true ] || { echo "it stopped"; return 1; }
    [ $((SECONDS - started)) -lt "$ready_within_s" ] || { echo "not ready after $ready_within_s s"; return 1; }
    sleep 0.5
  done
  echo "after $((SECONDS - started)) s"
}

refused() { # COMMAND...: it must run and say no; 126 and above is the engine's or the shell's own failure
  local status=0
  "$@" >/dev/null 2>&1 || status=$?
  echo "exit status $status"
  [ "$status" -gt 0 ] && [ "$status" -lt 125 ]
}

stops_cleanly() {
  local started=$SECONDS took status
  "${engine[@]}" stop -t "$grace_s" "$container" >/dev/null
  took=$((SECONDS - started)) status=$(inspect '{{.State.ExitCode}}')
  echo "exit status $status after $took s"
  [ "$status" = 0 ] && [ "$took" -lt "$grace_s" ]
}

port=$(free_port)
request_id=image-test-$$-$RANDOM
container=$("${engine[@]}" run --detach --read-only --cap-drop=ALL --security-opt=no-new-privileges \
  --env PORT="$port" --env WEB_CONCURRENCY=2 ${run_args[@]+"${run_args[@]}"} "$image") || fail "the container starts"
container=${container##*$'\n'}

check "it becomes ready" wait_until_ready
check "health answers 200" inside python -c "$get_path" /health
check "a prediction succeeds" inside python -c "$predict" "$request_id"
check "the audit file holds it, once" inside python -c "$audited" "$request_id"
for page in / /docs /openapi.json; do
  check "$page is packaged" inside python -c "$get_path" $page
done
check "the process has no powers" inside python -c "$powerless"
check "the root filesystem is read-only" inside python -c "$read_only"
check "the image's label tells Python's version" label_tells_python
check "the operator's commands work" inside flask models list

mapfile -t health_check < <(inspect '{{range .Config.Healthcheck.Test}}{{println .}}{{end}}')
[ "${health_check[0]:-}" = CMD ] || fail "the image has a HEALTHCHECK in exec form" "${health_check[*]}"
health_check=("${health_check[@]:1}")
[ -n "${health_check[-1]}" ] || unset 'health_check[-1]' # the newline that ends the template
check "its HEALTHCHECK passes while it is healthy" inside "${health_check[@]}"
check "the HEALTHCHECK passes on any 200" inside python -c "$beside" 200 "${health_check[@]}"
check "the HEALTHCHECK fails on 503" refused inside python -c "$beside" 503 "${health_check[@]}"
check "the HEALTHCHECK fails where nobody answers" refused inside env PORT=1 "${health_check[@]}"

check "SIGTERM ends it cleanly" stops_cleanly

size=$("${engine[@]}" image inspect --format '{{.Size}}' "$image")
echo "size  $((size / 1000000)) MB ($image)"
