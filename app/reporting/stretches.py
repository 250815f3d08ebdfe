"""Where in time a rate stands out: the answer to "when did it begin, and is it over?"."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

_EVIDENCE = 10.0
"""Least log-likelihood ratio. Chance gives as much in one of a few thousand spans, the number of those tried."""
_FACTOR = 1.5
"""Least ratio of the rates inside and outside: among millions of rows even what matters to nobody is no chance."""


def worst_span(bad: Sequence[int], total: Sequence[int]) -> tuple[int, int] | None:
    """The buckets [first, last) whose rate `bad` / `total` is most surely above that of all others together.

    A scan statistic (Kulldorff 1997) for counts of successes: of all spans, the one with the largest likelihood
    ratio of two rates against one. None where no span stands out.
    """
    bads, totals = [0, *accumulate(bad)], [0, *accumulate(total)]
    best, found = _EVIDENCE, None
    for first in range(len(total)):
        for last in range(first + 1, len(total) + 1):
            inside = bads[last] - bads[first], totals[last] - totals[first]
            outside = bads[-1] - inside[0], totals[-1] - inside[1]
            if not inside[1] or not outside[1] or inside[0] * outside[1] < _FACTOR * outside[0] * inside[1]:
                continue
            ratio = _likelihood(*inside) + _likelihood(*outside) - _likelihood(bads[-1], totals[-1])
            if ratio > best and total[first] and total[last - 1]:  # an empty bucket at the edge says nothing
                best, found = ratio, (first, last)
    return found


def _likelihood(bad: int, total: int) -> float:
    """Logarithm of the greatest likelihood of `bad` among `total`."""
    return sum(part * math.log(part / total) for part in (bad, total - bad) if part)
