"""One browser and one service for all tests; a page of its own for each, which must not report any error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.harness import Triage, chromium

OpenPage = Callable[..., Page]
"""`open_page(width=360, color_scheme="dark")`: the page, loaded in a context with these settings."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="session")
def shared_triage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triage]:
    triage = Triage(tmp_path_factory.mktemp("triage"))
    with triage.service:
        yield triage
    triage.leave()


@pytest.fixture
def triage(shared_triage: Triage) -> Triage:
    """A healthy service with an hour of traffic."""
    shared_triage.become("healthy")
    return shared_triage


@pytest.fixture
def open_page(browser: Browser, triage: Triage) -> Iterator[OpenPage]:
    contexts, complaints = [], []

    def open_one(width: int = 1200, height: int = 900, **settings: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda sent: complaints.append(sent.url) if not sent.url.startswith(triage.url) else None)
        page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
        page.goto(triage.url)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert complaints == [], "the page failed, broke its own security policy, or asked another host"
