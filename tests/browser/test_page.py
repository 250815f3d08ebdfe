"""What a person meets at `/`, in each state of the service."""

from __future__ import annotations

import re
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.harness import REQUEST_ID, Triage

REFRESHED_WITHIN_MS = 20_000
STATES = ("healthy", "degraded", "unhealthy")


def status(page: Page) -> str:
    return page.get_by_role("heading", level=2).first.inner_text()


def scrolls_sideways(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))


def test_a_healthy_service_is_seen_at_a_glance(open_page: OpenPage) -> None:
    """Status, who answers, both workers, the charts of the hour, drift in words."""
    page = open_page()
    assert (page.title(), status(page)) == ("healthy · anomaly-service", "Healthy")
    expect(page.locator("#status")).to_contain_text("Primary in every worker, since")
    expect(page.get_by_role("article")).to_have_count(2)
    expect(page.get_by_role("img", name=re.compile("^Readings: [1-9].* in the last hour"))).to_be_visible()
    expect(page.locator("#drift li").first).to_contain_text("lag_1 drifted")


def test_the_page_turns_by_itself_when_a_stage_breaks(open_page: OpenPage, triage: Triage) -> None:
    """The cause, the stage that took over, the failure and the request that met it; and it is announced."""
    page = open_page()
    triage.become("degraded")
    expect(page.locator("#status-title")).to_have_text("Degraded", timeout=REFRESHED_WITHIN_MS)
    assert page.title() == "degraded · anomaly-service"
    expect(page.locator("#icon")).to_have_attribute("href", re.compile("degraded"))
    expect(page.locator("#news")).to_have_text("The service is degraded.")
    expect(page.locator("#status")).to_contain_text("the primary cannot score, its weights are <empty>")
    expect(page.locator("#status")).to_contain_text("Fallback in every worker")
    expect(page.locator("#failures li").first).to_contain_text(f"request {REQUEST_ID}")
    expect(page.locator("#workers").get_by_text("breaker open")).to_have_count(2)


def test_a_service_that_cannot_answer_says_so(open_page: OpenPage, triage: Triage) -> None:
    """In its heading, its causes, and in the reply to the form."""
    triage.become("unhealthy")
    page = open_page()
    assert status(page) == "Unhealthy"
    expect(page.locator(".causes li")).to_have_count(3)
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#answer")).to_contain_text("Not answered (503)")
    expect(page.locator("#answer")).to_contain_text("All prediction methods failed")


@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_to_complain_about(open_page: OpenPage, triage: Triage, state: str) -> None:
    """In light and dark, wide and narrow; and nothing scrolls sideways at 360 pixels."""
    triage.become(state)
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for scheme in schemes:
        for width in (1200, 360):
            page = open_page(width=width, color_scheme=scheme)
            page.get_by_label("seasonal_factor").fill("9")
            page.get_by_role("button", name="Predict").click()
            expect(page.locator("#answer h3")).to_be_visible()
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            assert not scrolls_sideways(page)


def test_the_colours_follow_the_system(open_page: OpenPage) -> None:
    """Dark where the system is."""
    shade = "getComputedStyle(document.body).backgroundColor"
    light, dark = open_page(color_scheme="light").evaluate(shade), open_page(color_scheme="dark").evaluate(shade)
    assert min(map(int, re.findall(r"\d+", light))) > 200
    assert max(map(int, re.findall(r"\d+", dark))) < 60


def test_without_a_script_the_page_is_complete(open_page: OpenPage) -> None:
    """Everything is there but sending and refreshing, and it says so."""
    page = open_page(java_script_enabled=False)
    assert status(page) == "Healthy"
    expect(page.get_by_role("article")).to_have_count(2)
    expect(page.locator("#charts svg[role=img]")).to_have_count(3)
    expect(page.get_by_text("Reload to refresh.")).to_be_visible()
    expect(page.get_by_text("Sending from here takes JavaScript")).to_be_visible()
    expect(page.get_by_role("button", name="Predict")).to_be_disabled()
    expect(page.locator("#curl")).to_contain_text("/predict -H 'Content-Type: application/json'")


def test_a_service_that_cannot_be_reached_is_told_apart(open_page: OpenPage) -> None:
    """What is seen is of before, and says so; it ends with the outage."""
    page = open_page()
    page.context.set_offline(True)
    banner = page.get_by_role("alert")
    expect(banner).to_contain_text("The service cannot be reached since", timeout=REFRESHED_WITHIN_MS)
    expect(banner).to_contain_text(re.compile(r"This is how it was at \d\d:\d\d:\d\d UTC"))
    assert page.title() == "unreachable · anomaly-service"
    page.context.set_offline(False)
    expect(banner).to_be_hidden(timeout=REFRESHED_WITHIN_MS)
    assert page.title() == "healthy · anomaly-service"


def test_refreshing_can_be_paused(open_page: OpenPage) -> None:
    """Nothing moves under the eyes of whoever reads; going on refreshes at once."""
    page = open_page()
    page.clock.install()
    page.reload()
    with page.expect_request(page.url):
        page.clock.fast_forward(6_000)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Paused", pressed=True)).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda sent: asked.append(sent.url))
    page.clock.fast_forward(60_000)
    assert asked == []
    with page.expect_request(page.url):
        page.get_by_role("button", name="Paused").click()


def test_nothing_inline_runs(browser: Browser, triage: Triage) -> None:
    """Whatever got onto the page: the policy stops it, and says so."""
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text))
    page.goto(triage.url)
    ran = page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.body.append(script);
          return window.ran === true;
        }"""
    )
    page.close()
    assert not ran
    assert len(complaints) == 1
    assert "Content Security Policy" in complaints[0]
