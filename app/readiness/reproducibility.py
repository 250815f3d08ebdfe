"""Reproducibility: the same code, libraries and model can be had again, and are what runs."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

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
    installs = [value for name, value in steps if name == "RUN" and re.search(r"\bpip\b.*\binstall\b", value)]
    base = _base(steps)
    minor = ".".join(scene.manifest.environment["python"].split(".")[:2])
    found.expect(
        "@sha256:" in base or re.search(rf":{re.escape(minor)}\b", base),
        f"its base is {base}, the Python of the active version",
        f"its base is {base}; name one with Python {minor}, as the active version has, or a digest",
    )
    found.expect(
        installs and all("--require-hashes" in step for step in installs),
        "the image installs the lock and nothing else, hashes required",
        "every step of the Dockerfile that installs must ask for --require-hashes",
    )
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
        {"*", ".git"} & set(ignored) and "!.git" not in ignored, ".dockerignore keeps the history out",
        ".dockerignore lets the history into the image",
    )  # fmt: skip


def environment_parity(scene: Scene, found: Evidence) -> None:
    """What runs is what is locked, and what the model was made with."""
    running = dict(scene.service.detailed()["environment"])
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
    lock = pinned(_lock(scene))
    unlocked = [
        f"{name} {version}" for name, version in running.items() if name not in lock or lock[name].version != version
    ]
    found.expect(not unlocked, "and requirements.txt pins them", f"requirements.txt pins others: {_some(unlocked)}")
    here: dict[str, str] = {
        canonicalize_name(installed.name): installed.version for installed in metadata.distributions()
    }
    other = [f"{name} {here.get(name)}" for name, pin in lock.items() if here.get(name) != pin.version]
    whose = "here, where the instance runs," if scene.service.own else "here (the service does not tell all of its own)"
    found.expect(
        not other, f"all {len(lock)} packages are installed {whose} as they are pinned",
        f"installed here otherwise than pinned: {_some(other)}",
    )  # fmt: skip


def version_control(scene: Scene, found: Evidence) -> None:
    """The code is a commit, and the model a version that is whole and is the one that answers."""
    version = scene.registry.verify(scene.manifest.version).version
    served = scene.service.detailed()["model_version"]
    found.expect(
        served == version, f"the version that answers is the active one, {version}; its hashes and golden rows agree",
        f"{served} answers, but {version} is active in {scene.registry.folder}",
    )  # fmt: skip
    moves = [entry for entry in scene.registry.history() if entry.action != "register"]
    last = moves[-1] if moves else None
    found.expect(
        last and last.version == version, f"history.jsonl: {last.action if last else ''} {last.at if last else ''}",
        f"history.jsonl does not know how {version} became active; its last change is {last and last.version}",
    )  # fmt: skip
    code = scene.service.get("/openapi.json").json["info"]["version"]
    found.expect(
        code == VERSION, f"the service's code is version {code}, as here; it does not tell its commit",
        f"the service's code is version {code}, here it is {VERSION}",
    )  # fmt: skip
    scene.checkout.git("ls-files", "--error-unmatch", "pyproject.toml")  # else the repository is another's
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


def _base(steps: list[tuple[str, str]]) -> str:
    """The image that the last stage is built on, an argument's default in its place."""
    arguments = dict(value.split("=", 1) for name, value in steps if name == "ARG" and "=" in value)
    images = [value.split()[0] for name, value in steps if name == "FROM"]
    return (
        re.sub(r"\$\{?(\w+)\}?", lambda match: arguments.get(match[1], match[0]), images[-1]) if images else "missing"
    )


def _lock(scene: Scene) -> Path:
    """The service's lock, which a container has too."""
    lock = scene.checkout.root / "requirements.txt"
    return lock if lock.is_file() else scene.checkout.path("requirements.txt")


def _some(names: list[str]) -> str:
    """A few of them, or `nothing`."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "nothing") + more
