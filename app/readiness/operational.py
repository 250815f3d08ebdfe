"""Operations: whoever is woken knows what to do, and it was tried."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from app.readiness.evidence import Evidence, Item
from app.readiness.load import Load
from app.readiness.scene import Scene
from app.readiness.service import eventually

SECTION = "Operational"

LOCUSTFILE = "benchmarks/loadtest/locustfile.py"

WAKES = "page"
"""The severity of alerts that cannot wait for the morning."""


def runbooks(scene: Scene, found: Evidence) -> None:
    """Each alert leads to a section that says what it means, what to run, and how to see that it is mended."""
    sections = _sections(scene.checkout.text("docs/runbook.md"))
    alerts = _alerts(scene)
    lost = [name for name, rule in alerts.items() if _place(rule) not in sections]
    found.expect(
        alerts and not lost, f"{len(alerts)} alerts lead to a section of docs/runbook.md",
        f"of {len(alerts)} alerts these lead nowhere: {lost}",
    )  # fmt: skip
    poor = [
        name for name, text in sections.items() if "**Means**" not in text or not re.search(r"```bash\n\s*[^\s`]", text)
    ]
    found.expect(
        sections and not poor, "each says what it means and what to run first", f"meaning or command is missing: {poor}"
    )


def incident_response(scene: Scene, found: Evidence) -> None:
    """An alert reaches somebody, who finds a page that tells, and the story of how it is done."""
    routing = scene.checkout.yaml("deploy/alertmanager/alertmanager.yml")
    heard = {entry["name"]: _addresses(entry) for entry in routing["receivers"]}
    default = routing["route"]["receiver"]
    waking = [
        route.get("receiver", default) for route in routing["route"].get("routes", ()) if _takes_what_wakes(route)
    ]
    found.expect(
        heard.get(default), f"alerts go to {default}: {', '.join(heard.get(default, ()))}",
        f"alerts go to {default}, which leads to nobody",
    )  # fmt: skip
    awake = [name for name in waking if heard.get(name) and name != default]
    severe = [name for name, rule in _alerts(scene).items() if rule["labels"]["severity"] == WAKES]
    found.expect(
        severe and awake, f"the {len(severe)} that wake somebody to {', '.join(awake)}: "
        f"{', '.join(address for name in awake for address in heard[name])}",
        f"{len(severe)} alerts have severity {WAKES}, and no receiver of their own is woken by them",
    )  # fmt: skip
    page = scene.service.get("/")
    found.expect(
        page.status == 200 and "text/html" in page.headers.get("content-type", "") and b"<main" in page.body,
        "/ is a page for whoever was woken", f"/ is no page: it answers {page.status}",
    )  # fmt: skip
    chapters = _sections(scene.checkout.text("docs/operations.md"))
    stories = [text for name, text in chapters.items() if "incident" in name]
    found.expect(
        any("```console" in text for text in stories), "docs/operations.md walks through an incident, with its output",
        "docs/operations.md has no incident with its output",
    )  # fmt: skip


def rollback_procedures(scene: Scene, found: Evidence) -> None:
    """The way back is written down, and leads there under load without a lost request."""
    with found.reaching():
        for document in ("docs/runbook.md", "docs/operations.md"):
            found.expect(
                scene.checkout.says("flask models rollback", document), f"{document} says how",
                f"{document} does not say how to roll back",
            )  # fmt: skip
    previous = scene.registry.previous()
    if previous is None:
        found.seen.append("the active version is the first one: until there is another, a rollback has nowhere to go")
    else:
        scene.registry.verify(previous)
        found.seen.append(f"a rollback goes to {previous}; its hashes and golden rows agree")
    drill = scene.drilled()
    drill.serve(drill.sound)
    drill.serve(drill.breakable)
    with Load(drill.service, scene.schema) as load:
        eventually(lambda: len(load.answers) > 100, drill.followed_within_s)
        start = time.monotonic()
        drill.registry.rollback()
        followed = eventually(lambda: _all_from(drill.sound, load), drill.followed_within_s)
    took = max((answer.at for answer in load.answers if answer.version == drill.breakable), default=start) - start
    found.expect(
        followed, f"tried under load: every worker was back after {max(took, 0):.1f} s",
        f"tried under load: not every worker was back within {drill.followed_within_s:g} s",
    )  # fmt: skip
    found.expect(
        not load.failed, f"{len(load.answers):,} requests meanwhile, none failed",
        f"{load.failed} of {len(load.answers)} requests failed meanwhile",
    )  # fmt: skip


def load_testing(scene: Scene, found: Evidence) -> None:
    """There is a load test with objectives; a short one, here and now, meets them."""
    with found.reaching():
        found.expect(
            re.search(r"(?m)^loadtest:.*\n\t", scene.checkout.text("Makefile")), "'make loadtest' is there",
            "the Makefile does nothing for loadtest",
        )  # fmt: skip
        found.expect(
            scene.checkout.says("HttpUser", LOCUSTFILE), f"{LOCUSTFILE} is its traffic", f"{LOCUSTFILE} has no users"
        )
    drill = scene.drilled()
    drill.serve(drill.sound)
    with Load(drill.service, scene.schema) as load:
        time.sleep(scene.load_s)
    for verdict in scene.slo.judge(load.percentile_s, load.success):
        found.expect(
            verdict.met, f"{len(load.answers):,} requests in {scene.load_s:g} s: {verdict.objective} {verdict.seen} "
            f"({verdict.limit})",
            f"{verdict.objective} was {verdict.seen}, the objective is {verdict.limit}",
        )  # fmt: skip


ITEMS = (
    Item(SECTION, "Runbooks", runbooks),
    Item(SECTION, "Incident response", incident_response),
    Item(SECTION, "Rollback procedures", rollback_procedures),
    Item(SECTION, "Load testing", load_testing),
)


def _alerts(scene: Scene) -> dict[str, Mapping[str, Any]]:
    groups = scene.checkout.yaml("deploy/prometheus/alerts.yml")["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def _place(rule: Mapping[str, Any]) -> str:
    file, _, anchor = str(rule.get("annotations", {}).get("runbook_url", "")).partition("#")
    return anchor if file.endswith("docs/runbook.md") else ""


def _sections(text: str) -> dict[str, str]:
    """A document's sections by the anchor of their heading."""
    parts = re.split(r"(?m)^##+ (.+)$", text)
    anchors = (re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in parts[1::2])
    return dict(zip(anchors, parts[2::2], strict=True))


def _addresses(receiver: Mapping[str, Any]) -> list[str]:
    """Where a receiver leads, as far as its configuration tells."""
    kinds = {kind: entries for kind, entries in receiver.items() if kind.endswith("_configs")}
    return [str(entry.get("url", kind)) for kind, entries in kinds.items() for entry in entries]


def _takes_what_wakes(route: Mapping[str, Any]) -> bool:
    return any(re.fullmatch(rf'severity\s*=\s*"?{WAKES}"?', str(matcher)) for matcher in route.get("matchers", ()))


def _all_from(version: str, load: Load) -> bool:
    """Whether the latest answers, more than all clients can have under way, are of one version."""
    return {answer.version for answer in load.answers[-50:]} == {version}
