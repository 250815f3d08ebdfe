"""`/docs` in a real browser: it shows every operation, keeps its own policy, and asks no other host."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import PROJECT, Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("service"), PROJECT / "models") as running:
        yield running


@pytest.fixture
def complaints() -> list[str]:
    """What went wrong on the page, and whom else it asked."""
    return []


@pytest.fixture
def page(browser: Browser, service: Service, complaints: list[str]) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    own = (f"{service.url}/", "data:")
    page.on("request", lambda sent: complaints.append(sent.url) if not sent.url.startswith(own) else None)
    page.on("requestfailed", lambda sent: complaints.append(f"{sent.url}: {sent.failure}"))
    page.goto(f"{service.url}/docs")
    yield page
    context.close()


def test_every_operation_is_shown(page: Page, service: Service, complaints: list[str]) -> None:
    """As many as the document has, and nothing was blocked."""
    paths = service.request("GET", "/openapi.json").json["paths"]
    count = sum(len(item.keys() - {"parameters"}) for item in paths.values())
    expect(page.locator(".opblock")).to_have_count(count)
    expect(page.locator(".errors-wrapper")).to_have_count(0)
    expect(page.locator("#operations-Predictions-predict")).to_be_visible()
    assert complaints == []


def test_a_prediction_can_be_tried(page: Page, complaints: list[str]) -> None:
    """The example can be sent as it is, and is answered."""
    predict = page.locator("#operations-Predictions-predict")
    predict.locator(".opblock-summary-control").click()
    expect(predict.locator(".response-col_status", has_text="422").first).to_be_visible()
    predict.get_by_role("button", name="Try it out").click()
    predict.get_by_role("button", name="Execute").click()
    expect(predict.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("200")
    expect(predict.locator(".live-responses-table")).to_contain_text('"model_used": "primary"')
    assert complaints == []


@pytest.mark.parametrize("operation", ["Health-health_detailed", "Open_Inference_Protocol-infer"])
def test_what_is_nested_opens_too(page: Page, operation: str, complaints: list[str]) -> None:
    """The deepest reply, and the request with the most to choose from; schemas beside the examples."""
    found = page.locator(f"[id='operations-{operation}']")
    found.locator(".opblock-summary-control").click()
    expect(found.locator(".response-col_status", has_text="200").first).to_be_visible()
    found.get_by_role("tab", name="Schema").first.click()
    expect(found.locator(".json-schema-2020-12").first).to_be_visible()
    assert complaints == []
