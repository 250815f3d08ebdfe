"""Service level objectives: their spelling, and what was measured held against them."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.readiness.slo import Objective, Slo, SloError, Unit, Verdict

NAN = float("nan")


def limits(most: str) -> st.SearchStrategy[Decimal]:
    return st.decimals("0.000001", most, places=6, allow_nan=False).map(lambda value: value.normalize())


@st.composite
def slos(draw: st.DrawFn) -> Slo:
    """Any objectives, each name once."""
    percentile = st.decimals("0.000001", "99.999999", places=6).map(lambda value: f"p{value.normalize():f}")
    names = draw(st.lists(percentile | st.sampled_from(["max", "success"]), min_size=1, max_size=5, unique=True))
    times: st.SearchStrategy[Unit] = st.sampled_from(["ms", "s"])
    return Slo(
        tuple(
            Objective(name, draw(limits("100")), "%")
            if name == "success"
            else Objective(name, draw(limits("999999999")), draw(times))
            for name in names
        )
    )


@given(slo=slos())
def test_what_is_written_is_read_as_it_was(slo: Slo) -> None:
    """Text and value say the same."""
    assert Slo.parse(str(slo)) == slo


@pytest.mark.parametrize(
    ("text", "written"),
    [
        pytest.param("p99=50ms,success=99.9", "p99=50ms,success=99.9", id="the example"),
        pytest.param(" p99.0 = 50 ms , success = 99.90 % ", "p99=50ms,success=99.90", id="spaces, percent sign, p99.0"),
        pytest.param("p99.9=0.25s,max=2s,p50=0.001ms", "p99.9=0.25s,max=2s,p50=0.001ms", id="decimals and seconds"),
    ],
)
def test_spellings(text: str, written: str) -> None:
    """Who writes it a little differently means the same."""
    assert str(Slo.parse(text)) == written


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(" ", "it is empty; write for instance p99=50ms,success=99.9", id="empty"),
        pytest.param("p99=50ms,", "'' is no objective; write name=limit", id="a comma too many"),
        pytest.param("p99", "'p99' is no objective; write name=limit", id="no limit"),
        pytest.param("p99=50", "p99=50: the unit is missing; write p99=50ms or p99=50s", id="no unit"),
        pytest.param("p99=50us", "'us' is no unit of time here; write p99=50ms or p99=50s", id="another unit"),
        pytest.param("p99=50%", "'%' is no unit of time here", id="percent of a time"),
        pytest.param("p99=0ms", "no request takes no time", id="no time at all"),
        pytest.param("p99=-1ms", "the limit is no number; write for instance p99=50ms", id="negative"),
        pytest.param("p99=1e3ms", "the limit is no number", id="exponent"),
        pytest.param("p99=nanms", "the limit is no number", id="nan"),
        pytest.param("p100=50ms", "'p100' is unknown; there are percentiles such as p50", id="p100, which is max"),
        pytest.param("p0=50ms", "'p0' is unknown", id="p0"),
        pytest.param("mean=50ms", "'mean' is unknown", id="mean"),
        pytest.param("P99=50ms", "'P99' is unknown", id="upper case"),
        pytest.param("success=ok", "the limit is no number; write for instance success=99.9", id="no percentage"),
        pytest.param("success=99.9ms", "success is in percent", id="time of a percentage"),
        pytest.param("success=100.1", "percent must be above 0 and at most 100", id="more than all"),
        pytest.param("success=0", "percent must be above 0 and at most 100", id="nothing asked"),
        pytest.param("p99=50ms,p99.0=60ms", "p99 is given twice", id="twice"),
    ],
)
def test_says_what_would_be_right(text: str, problem: str) -> None:
    """An objective that is guessed at would be judged wrongly for years."""
    with pytest.raises(SloError) as error:
        Slo.parse(text)
    assert len(error.value.problems) == 1
    assert problem in str(error.value)


def test_says_all_problems_at_once() -> None:
    """In the order of the text."""
    with pytest.raises(SloError) as error:
        Slo.parse("p99=50,fast=1s,max=1s,success=101,max=2s")
    assert [problem.partition(":")[0].partition(" ")[0] for problem in error.value.problems] == [
        "p99=50", "'fast'", "success=101", "max",
    ]  # fmt: skip


def test_each_objective_gets_its_verdict() -> None:
    """Latencies come from the percentiles, success from the share; the order is the text's."""
    latencies_s = {0.5: 0.004, 0.99: 0.05, 0.999: 0.0501, 1.0: 2.0}
    slo = Slo.parse("p50=3.9ms,p99=50ms,success=99.9,p99.9=50ms,max=2s")
    assert slo.judge(latencies_s.__getitem__, 999 / 1000) == [
        Verdict("p50", "at most 3.9 ms", "4.0 ms", met=False),
        Verdict("p99", "at most 50 ms", "50.0 ms", met=True),
        Verdict("success", "at least 99.9 %", "99.90 %", met=True),
        Verdict("p99.9", "at most 50 ms", "50.1 ms", met=False),
        Verdict("max", "at most 2 s", "2.000 s", met=True),
    ]


def test_without_requests_nothing_is_met() -> None:
    """A service that answered nobody kept no promise."""
    verdicts = Slo.parse("p1=999s,max=999s,success=0.1").judge(lambda share: NAN, NAN)
    assert [(verdict.seen, verdict.met) for verdict in verdicts] == [("nothing", False)] * 3


@given(count=st.integers(1, 10**6), promille=st.integers(1, 1000))
def test_success_is_judged_exactly(count: int, promille: int) -> None:
    """999 of 1,000 meet 99.9, whatever binary fractions make of both."""
    enough = -(-count * promille // 1000)
    slo = Slo((Objective("success", Decimal(promille).scaleb(-1), "%"),))
    assert slo.judge(lambda share: NAN, enough / count)[0].met
    assert not slo.judge(lambda share: NAN, (enough - 1) / count)[0].met


@given(slo=slos(), seen=st.floats(1e-9, 1e6), near=st.booleans())
def test_what_is_shown_is_on_the_side_of_the_limit_where_it_is(slo: Slo, seen: float, near: bool) -> None:
    """A limit of 50 ms is not missed by 50.0 ms, as far as six more digits tell."""
    objective = slo.objectives[0]
    limit, scale = float(objective.limit), {"ms": 1e-3, "s": 1.0, "%": 1e-2}[objective.unit]
    verdict = objective.judge(limit * scale * 1.00001 if near else seen)
    shown = float(verdict.seen.split()[0])
    if near or not math.isclose(seen / scale, limit, rel_tol=1e-6, abs_tol=1e-9):
        assert verdict.met == (shown >= limit if objective.unit == "%" else shown <= limit)
