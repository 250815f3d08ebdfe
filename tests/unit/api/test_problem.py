"""The error envelope: the members of RFC 9457, and those every reply of the service has."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.api.problem import error_items, problem_body
from app.contract.problems import Problem


def body(status: int = 400, detail: str = "It is wrong", **members: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        problem_body(status, detail, instance="/predict", request_id="id-1", **members)
    )
    return document


def test_the_envelope_has_all_its_members() -> None:
    """Success or failure, what kind, what happened, where, and under which id."""
    assert body() == {
        "success": False,
        "error": "It is wrong",
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "It is wrong",
        "instance": "/predict",
        "request_id": "id-1",
        "errors": [],
    }


@pytest.mark.parametrize(
    ("status", "title"),
    [
        pytest.param(404, "Not Found", id="known"),
        pytest.param(422, "Unprocessable Entity", id="422"),
        pytest.param(599, "Error", id="unknown"),
    ],
)
def test_the_title_is_the_statuss_own(status: int, title: str) -> None:
    """A title does not change from one occurrence to the next."""
    assert body(status)["title"] == title


def test_the_kind_is_a_name_that_stays() -> None:
    """`type` is a URI, and this one needs no server."""
    assert body(kind="malformed-body")["type"] == "urn:problem-type:malformed-body"


def test_an_endpoints_own_members_are_added() -> None:
    """A failed prediction has the members of one that succeeded."""
    document = body(extra={"prediction": None, "model_used": "none"})
    assert document["prediction"] is None
    assert document["model_used"] == "none"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a\nb\x00\u2028", id="control characters"),
        pytest.param('"\\', id="quotes"),
        pytest.param("\ud800", id="a lone surrogate"),
        pytest.param("é€😀", id="other scripts"),
    ],
)
def test_a_clients_words_cannot_break_the_document(text: str) -> None:
    """A detail quotes what was sent."""
    raw = problem_body(
        400, text, instance=text, request_id="id-1", errors=error_items([Problem("unexpected", text, text)])
    )
    assert json.loads(raw)["detail"] == text
    assert json.loads(raw)["errors"][0]["feature"] == text


@pytest.mark.parametrize(
    ("feature", "prefix", "pointer"),
    [
        pytest.param("region_id", "", "/region_id", id="a member"),
        pytest.param("region_id", "/instances/3", "/instances/3/region_id", id="a member of a row"),
        pytest.param("a/b", "", "/a~1b", id="a slash"),
        pytest.param("a~b", "", "/a~0b", id="a tilde"),
        pytest.param("~1", "", "/~01", id="what looks escaped"),
        pytest.param("", "", "/", id="an empty name"),
        pytest.param(None, "", "", id="the whole document"),
        pytest.param(None, "/instances/3", "/instances/3", id="a whole row"),
    ],
)
def test_an_error_points_at_what_is_wrong(feature: str | None, prefix: str, pointer: str) -> None:
    """JSON pointers of RFC 6901, with their two escapes."""
    assert error_items([Problem("a_code", "A message", feature)], prefix) == [
        {"pointer": pointer, "feature": feature, "code": "a_code", "message": "A message"}
    ]


def test_every_problem_is_listed_in_order() -> None:
    """All at once, so that a client mends its request in one go."""
    problems = [Problem("missing", f"m{number}", f"f{number}") for number in range(12)]
    assert [item["feature"] for item in body(422, errors=error_items(problems))["errors"]] == [
        f"f{number}" for number in range(12)
    ]
