"""Load from wrk, a public HTTP load generator (Debian: `apt-get install wrk`), and what it printed as figures."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

JSON_HEADERS = {"Content-Type": "application/json"}
ANSWERED_WITHIN_S = 2
"""A request without an answer by then counts as a failure."""
_FACTORS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3}


@dataclass(frozen=True, slots=True)
class Load:
    """One run of wrk."""

    requests: int
    requests_per_s: float
    p50_ms: float
    p99_ms: float
    failures: int
    """Replies other than 2xx and 3xx, and connections that were refused, broke or waited longer than 2 s."""


def post_load(
    url: str,
    bodies: Sequence[bytes],
    connections: int,
    seconds: int,
    headers: Mapping[str, str] = JSON_HEADERS,
    answered_within_s: int = ANSWERED_WITHIN_S,
) -> Load:
    """POSTs the `bodies`, one after the other and round again, over connections that stay open.

    Raises `RuntimeError` where wrk is not there or does not get through.
    """
    program = wrk_program()
    with tempfile.TemporaryDirectory(prefix="wrk-") as folder:
        paths = [Path(folder, f"{number}.body") for number in range(len(bodies))]
        for path, body in zip(paths, bodies, strict=True):
            path.write_bytes(body)
        script = Path(folder, "post.lua")
        script.write_text(_script(paths, headers))
        done = subprocess.run(
            [program, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", f"{answered_within_s}s", "--latency",
             "-s", str(script), url],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"wrk ended with status {done.returncode}: {done.stdout}{done.stderr}")
    return parse(done.stdout)


def wrk_program() -> str:
    """Its path. Raises `RuntimeError` that says how to get it."""
    found = shutil.which("wrk")
    if found is None:
        raise RuntimeError("wrk is not installed (Debian: apt-get install wrk)")
    return found


def parse(output: str) -> Load:
    """The figures in what wrk printed. Raises `RuntimeError` where one is not there."""
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    return Load(
        requests=int(_found(r"(\d+) requests in", output)),
        requests_per_s=float(_found(r"Requests/sec:\s+([\d.]+)", output)),
        p50_ms=_milliseconds("50%", output),
        p99_ms=_milliseconds("99%", output),
        failures=sum(int(count) for found in (refused, broken) if found for count in found.groups()),
    )


def _script(paths: Sequence[Path], headers: Mapping[str, str]) -> str:
    # Requests are put together before the run, so that wrk has the least to do in it.
    files = ", ".join(f'"{path}"' for path in paths)
    fields = ", ".join(f'["{name}"] = "{value}"' for name, value in headers.items())
    return f"""
local headers, requests, turn = {{{fields}}}, {{}}, 0
function init()
  for i, path in ipairs({{{files}}}) do
    local file = io.open(path, "rb")
    requests[i] = wrk.format("POST", nil, headers, file:read("*a"))
    file:close()
  end
end
function request()
  turn = turn % #requests + 1
  return requests[turn]
end
"""


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    if match is None:
        raise RuntimeError(f"wrk printed no {pattern}:\n{text}")
    return match[1]


def _milliseconds(percentile: str, text: str) -> float:
    value = _found(rf"^\s*{percentile}\s+([\d.]+(?:us|ms|s|m))\s*$", text)
    number = value.rstrip("ums")
    return float(number) * _FACTORS[value.removeprefix(number)]
