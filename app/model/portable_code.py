"""What a pickled estimator needs to be loaded elsewhere: sources that no index has, and installed libraries."""

from __future__ import annotations

import ast
import io
import pickle
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from importlib.metadata import packages_distributions
from importlib.util import find_spec, resolve_name
from pathlib import Path

from app.errors import BundleError

_OURS = __name__.partition(".")[0]
"""This package travels as source even where it is installed: it is on no index."""


@dataclass(frozen=True, slots=True)
class Needs:
    """`sources` by path below a folder for `sys.path`; `distributions` by the name that pip knows."""

    sources: dict[str, bytes] = field(default_factory=dict)
    distributions: set[str] = field(default_factory=set)


def needs_of(pickled: bytes) -> Needs:
    """The modules that unpickling imports, and what those import when they are imported.

    Unpickles: only for bytes that are one's own. Raises `BundleError` for a module without source.
    """
    finder = _Finder(io.BytesIO(pickled))
    finder.load()
    needs, installed, seen = Needs(), packages_distributions(), set[str]()
    waiting = sorted(finder.modules)
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if name in seen or top in sys.stdlib_module_names:
            continue
        seen.add(name)
        if top != _OURS and top in installed:
            needs.distributions.update(installed[top])
            continue
        path, source = _source(name)
        needs.sources[path] = source
        package = name if path.endswith("__init__.py") else name.rpartition(".")[0]
        waiting += [name.rpartition(".")[0] or name, *_imports(ast.parse(source), package)]
    return needs


class _Finder(pickle.Unpickler):
    """Notes the modules that a pickle names."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.modules: set[str] = set()

    def find_class(self, module_name: str, global_name: str, /) -> object:
        self.modules.add(module_name)
        return super().find_class(module_name, global_name)


def _source(name: str) -> tuple[str, bytes]:
    spec = find_spec(name)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise BundleError(f"the model needs the module {name!r}, which has no source to take along")
    stem = name.replace(".", "/")
    path = f"{stem}/__init__.py" if spec.submodule_search_locations is not None else f"{stem}.py"
    return path, Path(spec.origin).read_bytes()


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Modules imported with the one in `tree`; what functions import later, or type checkers only, is not."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module or ""
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names if _module(f"{base}.{alias.name}"))
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _imports(node, package)


def _module(name: str) -> ModuleSpec | None:
    """Whether a name is a module, and not something inside one."""
    try:
        return find_spec(name)
    except ModuleNotFoundError:  # its parent is no package
        return None
