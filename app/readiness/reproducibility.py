"""Reproducibility: the same code, libraries and model can be had again, and are what runs."""

from __future__ import annotations

import re
from importlib import metadata

from packaging.utils import canonicalize_name

from app.readiness.evidence import Evidence, Item
from app.readiness.locks import pinned, wanted
from app.readiness.scene import Scene
from app.settings import VERSION

SECTION = "Reproducibility"

_SHOWN = 5


def pinned_dependencies(scene: Scene, found: Evidence) -> None:
    """Every requirement is pinned to one version and its hashes."""
    for name in ("requirements", "requirements-dev"):
        lock = pinned(scene.checkout.path(f"{name}.txt"))
        asked = wanted(scene.checkout.path(f"{name}.in"))
        unmet = [
            str(need) for key, need in asked.items()
            if key not in lock or not need.specifier.contains(lock[key].version, prereleases=True)
        ]  # fmt: skip
        bare = [key for key, pin in lock.items() if not pin.hashes]
        found.expect(
            lock and not unmet and not bare,
            f"{name}.txt: {len(lock)} packages, each with one version and its hashes",
            f"{name}.txt: {_some(unmet)} not met, {_some(bare)} without hashes; run 'make lock'",
        )


def container(scene: Scene, found: Evidence) -> None:
    """An image that holds what the lock says, runs without powers and says how it is."""
    steps = _instructions(scene.checkout.text("Dockerfile"))
    users = [value for name, value in steps if name == "USER"]
    commands = [value for name, value in steps if name == "CMD"]
    installs = [value for name, value in steps if name == "RUN" and "pip" in value and "install" in value]
    found.expect(
        any("--require-hashes" in step for step in installs), "the image installs the lock, hashes required",
        "no step of the Dockerfile installs with --require-hashes",
    )  # fmt: skip
    found.expect(
        users and re.match(r"[1-9]\d*(:|$)", users[-1]), f"it runs as uid {users[-1] if users else ''}",
        f"its last USER must be the number of one who is not root, not {users[-1] if users else 'missing'}",
    )  # fmt: skip
    found.expect(
        any(name == "HEALTHCHECK" and value != "NONE" for name, value in steps), "it has a HEALTHCHECK",
        "it has no HEALTHCHECK",
    )  # fmt: skip
    found.expect(
        commands and commands[-1].startswith("["), "its process 1 is the service itself, so SIGTERM reaches it",
        "its CMD must be a list, or a shell will swallow SIGTERM",
    )  # fmt: skip
    ignored = scene.checkout.text(".dockerignore").split()
    found.expect(
        "*" in ignored or ".git" in ignored, ".dockerignore keeps history and environments out",
        ".dockerignore lets the history into the image",
    )  # fmt: skip


def environment_parity(scene: Scene, found: Evidence) -> None:
    """What runs is what is locked, and what the model was made with."""
    running = dict(scene.service.get("/health/detailed").json["environment"])
    recorded = scene.manifest.environment
    python, trained = running.pop("python"), recorded["python"]
    differing = [
        f"{name} {recorded.get(name)} there, {version} here"
        for name, version in running.items() if recorded.get(name) != version
    ]  # fmt: skip
    found.expect(
        not differing, "the service runs " + ", ".join(f"{name} {version}" for name, version in running.items())
        + ", and the active version was made with them",
        f"the active version was made with another environment: {_some(differing)}",
    )  # fmt: skip
    found.expect(
        python.split(".")[:2] == trained.split(".")[:2], f"Python {python}, made with {trained}",
        f"the service runs Python {python}, the active version was made with {trained}",
    )  # fmt: skip
    lock = pinned(scene.checkout.path("requirements.txt"))
    unlocked = [f"{name} {version}" for name, version in running.items() if lock[name].version != version]
    found.expect(not unlocked, "and requirements.txt pins them", f"requirements.txt pins others: {_some(unlocked)}")
    here: dict[str, str] = {
        canonicalize_name(installed.name): installed.version for installed in metadata.distributions()
    }
    other = [f"{name} {here.get(name)}" for name, pin in lock.items() if here.get(name) != pin.version]
    found.expect(
        not other, f"all {len(lock)} packages are installed here as they are pinned",
        f"installed here otherwise than pinned: {_some(other)}",
    )  # fmt: skip


def version_control(scene: Scene, found: Evidence) -> None:
    """The code is a commit, and the model a version that is whole and is the one that answers."""
    version = scene.registry.verify(scene.manifest.version).version
    served = scene.service.get("/health/detailed").json["model_version"]
    found.expect(
        served == version, f"the version that answers is the active one, {version}; its hashes and golden rows agree",
        f"{served} answers, but {version} is active in {scene.registry.folder}",
    )  # fmt: skip
    moves = [entry for entry in scene.registry.history() if entry.version == version]
    found.expect(
        moves, f"history.jsonl has its way here: {', '.join(f'{entry.action} {entry.at}' for entry in moves[:3])}",
        f"history.jsonl does not know how {version} became active",
    )  # fmt: skip
    code = scene.service.get("/openapi.json").json["info"]["version"]
    found.expect(
        code == VERSION, f"the service's code is version {code}, as here", f"it runs {code}, this is {VERSION}"
    )
    commit, changed = scene.checkout.git("rev-parse", "--short", "HEAD"), scene.checkout.git("status", "--porcelain")
    found.expect(
        not changed, f"the checkout is commit {commit}, with nothing changed",
        f"the checkout is commit {commit} and changes that are not committed: {_some(changed.splitlines())}",
    )  # fmt: skip


ITEMS = (
    Item(SECTION, "Pinned dependencies", pinned_dependencies),
    Item(SECTION, "Container", container),
    Item(SECTION, "Environment parity", environment_parity),
    Item(SECTION, "Version control", version_control),
)


def _instructions(dockerfile: str) -> list[tuple[str, str]]:
    """Name and value of each instruction, comments left out and continued lines joined."""
    code = "\n".join(line for line in dockerfile.splitlines() if not line.lstrip().startswith("#"))
    lines = re.sub(r"\\\n", " ", code).splitlines()
    return [(name.upper(), value.strip()) for name, _, value in (line.strip().partition(" ") for line in lines) if name]


def _some(names: list[str]) -> str:
    """A few of them, or `nothing`."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "nothing") + more
