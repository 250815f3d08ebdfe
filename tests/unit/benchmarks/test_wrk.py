"""What wrk prints, as figures."""

from __future__ import annotations

import pytest

from benchmarks.wrk import Load, parse

CALM = """Running 3s test @ http://127.0.0.1:8000/predict
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     3.05ms    1.45ms  12.50%   99.50%
    Req/Sec    15.21k     1.02k   17.10k    50.00%
  Latency Distribution
     50%  850.00us
     75%    2.52ms
     90%    2.91ms
     99%    4.01ms
  45498 requests in 3.00s, 21.26MB read
Requests/sec:  15144.61
Transfer/sec:      7.08MB
"""
TROUBLED = """Running 2s test @ http://127.0.0.1:8000/predict
  Latency Distribution
     50%  190.19ms
     75%  258.76ms
     90%  814.40ms
     99%    1.69s 
  250 requests in 2.01s, 33.91KB read
  Socket errors: connect 1, read 20, write 300, timeout 4000
  Non-2xx or 3xx responses: 50000
Requests/sec:    124.63
"""  # noqa: W291, as wrk prints it


@pytest.mark.parametrize(
    ("output", "load"),
    [
        pytest.param(CALM, Load(45498, 15144.61, 0.85, 4.01, failures=0), id="calm"),
        pytest.param(TROUBLED, Load(250, 124.63, 190.19, 1690.0, failures=54321), id="every kind of failure"),
        pytest.param(CALM.replace("4.01ms", "1.50m"), Load(45498, 15144.61, 0.85, 90e3, failures=0), id="minutes"),
    ],
)
def test_figures_have_the_units_of_their_names(output: str, load: Load) -> None:
    """Wrk picks a unit per figure; here all latencies are milliseconds."""
    assert parse(output) == load


def test_output_without_a_figure_is_an_error_that_shows_it() -> None:
    """A missing percentile must not become a zero in a table."""
    with pytest.raises(RuntimeError, match=r"(?s)99%.*Requests/sec:  15144"):
        parse(CALM.replace("     99%    4.01ms\n", ""))
