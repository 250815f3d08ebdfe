"""The house's rule: imports point strictly downward."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

APP = Path(__file__).parents[2] / "app"

ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "settings": {"errors"},
    "contract": {"settings", "errors"},
    "model": {"contract", "settings", "errors"},
    "telemetry": {"contract", "settings", "errors"},
    "serving": {"model", "telemetry", "contract", "settings", "errors"},
    "training": {"model", "contract", "settings", "errors"},
    "reporting": {"model", "telemetry", "contract", "settings", "errors"},
    "replay": {"reporting", "serving", "model", "telemetry", "contract", "settings", "errors"},
    "scoring": {"serving", "model", "contract", "settings", "errors"},
    "readiness": {"model", "contract", "settings", "errors"},
    "api": {"serving", "model", "telemetry", "contract", "settings", "errors"},
    "commands": {
        "serving",
        "training",
        "replay",
        "reporting",
        "scoring",
        "readiness",
        "model",
        "telemetry",
        "contract",
        "settings",
        "errors",
    },
    "factory": {
        "commands",
        "api",
        "serving",
        "training",
        "replay",
        "reporting",
        "scoring",
        "readiness",
        "model",
        "telemetry",
        "contract",
        "settings",
        "errors",
    },
    "worker": {"factory", "api", "serving", "telemetry", "contract", "settings", "errors"},
}
"""Room: the rooms it may import from."""

FLASK_ROOMS = {"api", "commands", "factory"}


def _room(path: Path) -> str:
    return path.relative_to(APP).parts[0].removesuffix(".py")


def _imported_modules(path: Path) -> set[str]:
    """Every module a file imports at run time, in any spelling; names behind TYPE_CHECKING do not count."""
    found: set[str] = set()
    for node in _runtime_nodes(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = path.relative_to(APP.parent).parts[: -node.level]
                base = ".".join([*package, *([base] if base else [])])
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found


def _runtime_nodes(tree: ast.AST) -> list[ast.AST]:
    nodes: list[ast.AST] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        nodes += [node, *_runtime_nodes(node)]
    return nodes


FILES = sorted(path for path in APP.rglob("*.py") if path != APP / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(APP)))
def test_imports_point_downward(path: Path) -> None:
    """A file imports only from its own room and from those below it."""
    room = _room(path)
    rooms = {name.split(".")[1] for name in _imported_modules(path) if name.startswith("app.")}
    assert rooms - {room} <= ALLOWED[room]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(APP)))
def test_only_the_rooms_for_http_know_flask(path: Path) -> None:
    """Flask and Werkzeug are imported in the rooms that are about HTTP or the command line, nowhere else."""
    roots = {name.split(".")[0] for name in _imported_modules(path)}
    assert _room(path) in FLASK_ROOMS or not roots & {"flask", "werkzeug"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(APP)))
def test_files_stay_small_and_say_what_they_are_for(path: Path) -> None:
    """A file of 260 lines has outgrown its purpose; one without a docstring has none yet."""
    text = path.read_text()
    assert len(text.splitlines()) <= 260
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize(
    ("modules", "unwanted"),
    [
        pytest.param("app.contract", {"flask", "sklearn", "pandas"}, id="the contract needs no framework"),
        pytest.param("app.model.registry", {"flask", "pandas", "matplotlib"}, id="models need no web framework"),
        pytest.param(
            "app.factory",
            {
                "pandas",
                "matplotlib",
                "duckdb",
                "app.training",
                "app.reporting",
                "app.replay",
                "app.scoring",
                "app.readiness",
            },
            id="serving needs no training",
        ),
        pytest.param(
            ", ".join(f"app.commands.{name}" for name in ("models", "readiness", "report", "score")),
            {"duckdb", "matplotlib", "pandas", "tqdm", "distributed", "fsspec", "app.replay", "app.readiness.run"},
            id="a command pays for itself only",
        ),
        pytest.param("app.scoring.run", {"distributed", "fsspec", "flask"}, id="a cluster pays for itself only"),
        pytest.param("app.scoring.processes", {"numpy", "sklearn"}, id="a worker has settings before libraries"),
    ],
)
def test_importing_a_room_does_not_load_what_it_has_no_use_for(modules: str, unwanted: set[str]) -> None:
    """Start-up time and memory are paid for every import."""
    code = f"import sys, {modules}; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & unwanted
