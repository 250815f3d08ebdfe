"""What the load test's users send, how often, and for how long they wait."""

from __future__ import annotations

from benchmarks.loadtest.exchanges import HEALTH, LIVE, READY, SCRAPE

SEED = 20_241_128
"""Of the readings; another than the shipped model's training."""
TIMEOUT_S = 5.0
"""A request without an answer by then has failed."""
STOP_TIMEOUT_S = 10
"""How long a run waits for its last replies: longer than the users do, so that none that hangs goes uncounted."""
PIPELINE_RATE = 10.0
"""Requests a second that a pipeline sends, at random times: as many as 36,000 metrics that are read hourly."""
SHARES = {"predict": 74, "infer": 10, "feedback": 7, "batch": 6, "bad": 3}
"""Of a pipeline's requests, percent. Most are single readings; feedback needs somebody who looked."""
CAUGHT_UP_HOURS = {24: 60, 168: 30, 720: 10}
"""Rows of a batch, and the percent of batches that have so many: an outage of a day, a week or a month is caught up."""
PROBES_EVERY_S = {READY: 2, LIVE: 10, HEALTH: 10, SCRAPE: 15}
"""The platform's own requests, as often as deploy/kubernetes and deploy/prometheus send them."""
