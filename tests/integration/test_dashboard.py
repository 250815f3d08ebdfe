"""`GET /`: the triage page as HTML. What it looks like and does is tried in a browser by `make e2e`."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.contract.schema import Feature, FeatureSchema, Matrix
from app.factory import EXTENSION
from app.model.registry import Registry
from app.model.scorer import Scores

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
EVIL = """</p>"><script>alert('x')</script><img src=x onerror=alert(1)>{{ 7 * 7 }}"""
EVIL_NAME = EVIL.replace('"', "")
"""A JSON key without an escape, as a contract's names must be."""

VOID = {"meta", "link", "img", "input", "br", "hr"}


class EvilSchema(FeatureSchema):
    """A contract whose author is not to be trusted."""

    features = (Feature(EVIL_NAME, 0, 1, EVIL, 0.5), Feature("load", 0, 1, EVIL, 0.6))


def evil_rule(rows: Matrix) -> Scores:
    """A rule that fails with markup."""
    raise ValueError(EVIL)


class Outline(HTMLParser):
    """Every tag with its attributes and every text; fails where a tag closes what is not open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        assert self._open == [], "tags were left open"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        assert not (self._open[-1:] == ["script"] and data.strip()), "a script is inline"
        self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every such tag."""
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_is_html_that_nothing_may_keep_or_frame(client: FlaskClient, version: str) -> None:
    """Fresh each time; with a policy that lets nothing in from elsewhere."""
    reply = client.get("/")
    assert (reply.status_code, reply.content_type) == (200, "text/html; charset=utf-8")
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["Content-Security-Policy"] == POLICY
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.headers["Referrer-Policy"] == "no-referrer"
    assert "X-Request-ID" in reply.headers
    outline = Outline(reply.text)
    assert "Healthy" in outline.text
    assert version in outline.text


def test_the_page_needs_nothing_from_elsewhere_and_nothing_inline(client: FlaskClient) -> None:
    """Every address is relative and answered by the service itself; no attribute is a script or a style."""
    outline = Outline(client.get("/").text)
    addresses = {
        value
        for _, attributes in outline.tags
        for name, value in attributes.items()
        if name in ("href", "src", "action") and value and not value.startswith("#")
    }
    assert len(addresses) >= 8
    for address in addresses - {"predict"}:
        assert re.fullmatch(r"[a-z][a-z0-9./-]*", address)
        assert client.get(f"/{address}").status_code in (200, 503)
    names = {name for _, attributes in outline.tags for name in attributes}
    assert not {name for name in names if name == "style" or name.startswith("on")}
    assert not {tag for tag, _ in outline.tags} & {"style", "base", "iframe", "object"}


def test_every_label_and_description_has_its_element(client: FlaskClient) -> None:
    """No id twice, none referred to in vain."""
    outline = Outline(client.get("/").text)
    ids = [value for _, attributes in outline.tags if (value := attributes.get("id"))]
    assert len(ids) == len(set(ids))
    referred = {
        name
        for _, attributes in outline.tags
        for relation in ("for", "aria-labelledby", "aria-describedby")
        for name in (attributes.get(relation) or "").split()
    }
    assert len(referred) > 12
    assert referred <= set(ids)


def test_its_files_are_named_after_their_content_and_kept_for_long(client: FlaskClient) -> None:
    """A new release has new names, so nobody sees a page with the old script."""
    outline = Outline(client.get("/").text)
    (script,) = outline.named("script")
    types = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
    for address in [script["src"], *(link["href"] for link in outline.named("link"))]:
        assert address is not None
        found = client.get(f"/{address}")
        assert found.content_type == types[address.rpartition(".")[2]]
        assert found.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert found.headers["X-Content-Type-Options"] == "nosniff"
        if not address.endswith(".svg"):
            assert "//" not in re.sub(r"^\s*//.*$", "", found.text, flags=re.MULTILINE), "another host"
    lost = client.get("/assets/triage-000000000000.js")
    assert (lost.status_code, lost.content_type) == (404, "application/problem+json")


def test_whatever_others_wrote_is_text(make_app: Callable[..., Flask], registry: Registry) -> None:
    """Names of features, texts of failures: none becomes markup, none is a template."""
    app = make_app(
        feature_schema="tests.integration.test_dashboard:EvilSchema",
        baseline_rule="tests.integration.test_dashboard:evil_rule",
    )
    client = app.test_client()
    client.post("/predict", json={"load": 7})
    client.post("/predict", json={EVIL_NAME: 0.5, "load": 0.5})
    app.extensions[EXTENSION].health.self_test()
    html = client.get("/").text
    outline = Outline(html)
    assert EVIL in outline.text
    assert [field["name"] for field in outline.named("input")] == [EVIL_NAME, "load"]
    assert [script["src"] for script in outline.named("script")] == re.findall(r"assets/triage-\w+\.js", html)
    assert all(image.get("src") != "x" for image in outline.named("img"))
    assert "{{ 7 * 7 }}" in outline.text


def test_a_forged_host_is_text_too(client: FlaskClient) -> None:
    """It only appears in the command, quoted for the shell and for HTML; or it is refused. Never a 500."""
    for host in ('evil"><script>alert(1)</script>', "a'; rm -rf ~; '", "", "::::", "\xff"):
        reply = client.get("/", headers={"Host": host})
        assert reply.status_code in (200, 400)
        if reply.status_code == 200:
            assert len(Outline(reply.text).named("script")) == 1


def test_a_failure_is_shown_with_the_request_that_met_it(
    make_app: Callable[..., Flask], reading: dict[str, Any]
) -> None:
    """On the page and in the detailed health: the way from a failure to its log lines."""
    app = make_app(baseline_rule="tests.integration.test_predict:broken_rule")
    client = app.test_client()
    for path, body in (("/predict", reading), ("/predict/batch", {"instances": [reading]})):
        client.post(path, json=body, headers={"X-Request-ID": f"find-me{path}"})
        app.extensions[EXTENSION].health.self_test()
        (worker,) = client.get("/health/detailed").get_json()["workers"]
        assert [failure["request_id"] for failure in worker["failures"]] == [f"find-me{path}"]
        assert f"<code>find-me{path}</code>" in client.get("/").text


def test_an_audit_that_failed_names_its_request_too(
    make_app: Callable[..., Flask], reading: dict[str, Any], version: str
) -> None:
    """The prediction left without its line: its id is all there is of it."""
    app = make_app(audit_dir=Path("/dev/null/audit"))
    client = app.test_client()
    client.post("/predict", json=reading, headers={"X-Request-ID": "unwritten"})
    app.extensions[EXTENSION].health.self_test()
    (worker,) = client.get("/health/detailed").get_json()["workers"]
    assert [failure["request_id"] for failure in worker["failures"]] == ["unwritten"]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"baseline_rule": "tests.integration.test_predict:broken_rule"}, id="nothing answers"),
        pytest.param({"models_dir": Path("/dev/null/models")}, id="no registry"),
        pytest.param({"audit_dir": Path("/dev/null/audit"), "audit_required": True}, id="no audit"),
    ],
)
def test_the_page_is_there_when_it_is_needed(make_app: Callable[..., Flask], changes: dict[str, Any]) -> None:
    """Always 200: whoever looks for the cause must be able to read it."""
    reply = make_app(**changes).test_client().get("/")
    assert reply.status_code == 200
    assert "Unhealthy" in Outline(reply.text).text or "Degraded" in Outline(reply.text).text


def test_head_has_the_headers_and_no_page(client: FlaskClient) -> None:
    """For whoever only asks whether it is there."""
    reply = client.head("/")
    assert (reply.status_code, reply.data) == (200, b"")
    assert reply.content_length is not None
    assert reply.content_length > 10_000
    assert reply.headers["Content-Security-Policy"] == POLICY


def test_the_page_cannot_be_posted_to(client: FlaskClient) -> None:
    """Errors stay JSON, here too."""
    reply = client.post("/")
    assert (reply.status_code, reply.content_type) == (405, "application/problem+json")
    assert "GET" in reply.headers["Allow"]
