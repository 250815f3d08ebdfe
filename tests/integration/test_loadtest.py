"""The load test's checks beside the replies of the service itself."""

from __future__ import annotations

import random

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.contract.schema import FeatureSchema
from benchmarks.loadtest import exchanges, replies
from benchmarks.loadtest.exchanges import Exchange

ROW = tuple(FeatureSchema().example().values())
RNG = random.Random(0)  # noqa: S311

EXCHANGES = [
    exchanges.predict(ROW),
    exchanges.predict_batch([ROW] * 3),
    exchanges.infer([ROW], "anomaly"),
    *(exchanges.predict_bad(ROW, RNG) for _ in range(10)),
    exchanges.HEALTH,
    exchanges.LIVE,
    exchanges.READY,
    exchanges.SCRAPE,
]


def reply_to(client: FlaskClient, exchange: Exchange) -> TestResponse:
    if exchange.body is None:
        return client.get(exchange.path)
    return client.post(exchange.path, data=exchange.body, content_type="application/json")


@pytest.mark.parametrize("exchange", EXCHANGES, ids=lambda exchange: exchange.kind)
def test_the_service_replies_rightly(client: FlaskClient, exchange: Exchange) -> None:
    """Else every run would count failures that are none."""
    reply = reply_to(client, exchange)
    assert exchange.check(reply.status_code, reply.data) is None


def test_feedback_is_counted_once(client: FlaskClient) -> None:
    """The second time is a failure."""
    exchange = exchanges.feedback(replies.prediction_id(reply_to(client, exchanges.predict(ROW)).data), 1)
    first, second = reply_to(client, exchange), reply_to(client, exchange)
    assert exchange.check(first.status_code, first.data) is None
    assert (exchange.check(second.status_code, second.data) or "").startswith("409: ")
