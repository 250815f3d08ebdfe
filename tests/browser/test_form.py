"""Trying a prediction from the page, by mouse and by keyboard alone."""

from __future__ import annotations

import json
import shlex

from playwright.sync_api import Page, expect

from app.contract.schema import FeatureSchema
from tests.browser.conftest import OpenPage
from tests.browser.harness import Triage

SCHEMA = FeatureSchema()
REFRESHED_WITHIN_MS = 20_000


def predict(page: Page) -> None:
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#answer h3")).to_be_visible()


def shown_curl(page: Page) -> list[str]:
    return shlex.split(page.locator("#curl").inner_text())


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.name || document.activeElement.textContent.trim()"))


def test_a_prediction_is_sent_and_its_answer_shown(open_page: OpenPage, triage: Triage) -> None:
    """The reply is the service's own; the audit has it."""
    page = open_page()
    predict(page)
    expect(page.locator("#answer h3")).to_contain_text("nomaly, probability ")
    expect(page.locator("#answer li").first).to_contain_text("Answered by primary in ")
    reply = json.loads(page.locator("#answer pre").inner_text())
    assert reply["success"]
    (line,) = [line for line in triage.service.audit_lines() if line.get("prediction_id") == reply["prediction_id"]]
    assert line["features"] == SCHEMA.example()


def test_the_curl_line_does_the_same(open_page: OpenPage, triage: Triage) -> None:
    """As the server wrote it and as the script does, for the example and for what was typed."""
    plain = shown_curl(open_page(java_script_enabled=False))
    page = open_page()
    assert shown_curl(page) == plain
    page.get_by_label("lag_1").fill("77.5")
    command, _, address, *_, body = shown_curl(page)
    assert (command, address) == ("curl", f"{triage.service.url}/predict")
    assert json.loads(body) == {**SCHEMA.example(), "lag_1": 77.5}
    page.get_by_role("button", name="Back to the example").click()
    expect(page.locator("#curl")).to_contain_text('"lag_1": 1498}')


def test_the_curl_line_can_be_copied(open_page: OpenPage) -> None:
    """Into the clipboard, ready to paste."""
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#curl").inner_text()


def test_every_problem_stands_beside_its_feature(open_page: OpenPage) -> None:
    """In the contract's words; the first one has the focus; a good reading takes them all away."""
    page = open_page()
    for name, text in (("metric_value", "lots"), ("seasonal_factor", "9"), ("lag_1", "")):
        page.get_by_label(name).fill(text)
    predict(page)
    messages = {
        "metric_value": "metric_value must be numeric, got str",
        "seasonal_factor": "seasonal_factor=9 out of range [0.5, 2.5]",
        "lag_1": "Missing features: ['lag_1']",
    }
    expect(page.locator("#answer h3")).to_have_text("Not answered (422)")
    for name in SCHEMA.names:
        expect(page.get_by_label(name)).to_have_accessible_description(page_description(page, name, messages.get(name)))
        assert (page.get_by_label(name).get_attribute("aria-invalid") == "true") is (name in messages)
    assert set(page.locator("#answer li").all_inner_texts()) == set(messages.values())
    assert focused(page) == "metric_value"
    page.get_by_role("button", name="Back to the example").click()
    expect(page.locator(".wrong:visible")).to_have_count(0)


def page_description(page: Page, name: str, message: str | None) -> str:
    """What a screen reader should say of a field: its range, then what is wrong."""
    span = page.locator(".field", has=page.get_by_label(name)).locator(".hint").inner_text()
    return f"{span} {message}" if message else span


def test_a_refresh_leaves_the_form_and_the_focus_alone(open_page: OpenPage, triage: Triage) -> None:
    """Whoever types is not disturbed, even while the service breaks."""
    page = open_page()
    field = page.get_by_label("hour_of_day")
    field.fill("")
    field.press_sequentially("7")
    triage.become("degraded")
    expect(page.locator("#status-title")).to_have_text("Degraded", timeout=REFRESHED_WITHIN_MS)
    page.keyboard.type(".5")
    assert (focused(page), field.input_value()) == ("hour_of_day", "7.5")


def test_the_keyboard_reaches_everything_and_shows_where_it_is(open_page: OpenPage) -> None:
    """Tab by tab from the top; each stop has a visible outline; Enter sends."""
    page = open_page()
    stops = []
    for _ in range(len(SCHEMA.names) + 9):
        page.keyboard.press("Tab")
        stops.append(focused(page))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle + ' ' + "
                                "getComputedStyle(document.activeElement).outlineWidth")  # fmt: skip
        assert outline == "solid 3px", stops[-1]
    links = ["health", "health/detailed", "health/ready", "metrics"]
    assert stops == [
        "Skip to the status", "Pause", *SCHEMA.names, "Predict", "Back to the example", "Copy", *links,
    ]  # fmt: skip
    page.get_by_label("metric_value").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#answer h3")).to_contain_text("nomaly, probability ")


def test_the_skip_link_leads_to_the_status(open_page: OpenPage) -> None:
    """Past the header, for whoever cannot click."""
    page = open_page()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
