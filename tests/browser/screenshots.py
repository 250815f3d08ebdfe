"""Takes the README's pictures of the triage page: `make screenshots`."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.harness import Triage, chromium

LARGEST_BYTES = 150_000


def main() -> None:
    """One picture per state, one in the dark on a phone, one of the form."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path, help="where the pictures go")
    folder: Path = arguments.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, chromium() as browser:
        triage = Triage(Path(scratch) / "triage")
        with triage.service:
            for status in ("healthy", "degraded", "unhealthy"):
                triage.become(status)
                _take(_opened(browser, triage, 1120, 760 if status != "healthy" else 1340), folder, status)
            triage.become("degraded")
            phone = browser.new_context(viewport={"width": 360, "height": 1180}, color_scheme="dark")
            _take(_visited(phone.new_page(), triage), folder, "dark-phone")
            _take(_form(_opened(browser, triage, 1120, 760)), folder, "form")
            triage.leave()


def _opened(browser: Browser, triage: Triage, width: int, height: int) -> Page:
    return _visited(browser.new_page(viewport={"width": width, "height": height}), triage)


def _visited(page: Page, triage: Triage) -> Page:
    page.goto(triage.url)
    return page


def _form(page: Page) -> Page:
    for name, text in (("seasonal_factor", "9"), ("lag_1", "")):
        page.get_by_label(name).fill(text)
    page.get_by_role("button", name="Predict").click()
    expect(page.locator("#answer h3")).to_be_visible()
    page.locator("#try").evaluate("part => part.scrollIntoView()")
    return page


def _take(page: Page, folder: Path, name: str) -> None:
    path = folder / f"triage-{name}.png"
    page.screenshot(path=path)
    Image.open(path).quantize(colors=256, dither=Image.Dither.NONE).save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path}  {size / 1000:.0f} kB")
    assert size <= LARGEST_BYTES, f"{path} is larger than {LARGEST_BYTES} bytes"
    page.close()


if __name__ == "__main__":
    main()
