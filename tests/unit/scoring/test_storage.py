"""Files of this machine and of object stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec
import pytest

from app.errors import ScoringError
from app.model.registry import Registry
from app.scoring.run import Request
from app.scoring.storage import LocalStorage, storage_of
from tests.unit.scoring.crafting import FORMATS, contents, file_scorer, write
from tests.unit.scoring.test_run import SCHEMA, some_lines


@pytest.fixture
def bucket() -> Any:
    """An empty store in memory."""
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    return memory


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A file of every format."""
    for kind in FORMATS:
        write(tmp_path / "in", kind, some_lines(60), f"of-{kind.replace('.', '-')}")
    return tmp_path / "in"


def test_an_object_store_is_as_good_as_a_disk(
    bucket: Any, folder: Path, tmp_path: Path, registry: Registry, version: str
) -> None:
    """Input and output, resumed and begun anew; the result files are the same but for the source's name."""
    for path in folder.iterdir():
        bucket.pipe_file(f"/in/{path.name}", path.read_bytes())
    scorer = file_scorer(SCHEMA, registry)
    asked = Request("memory://in/of-*", "memory://out/scores")
    first = scorer.score(asked)
    assert (first.files, first.rows, first.rejected, first.resumed) == (5, 300, 10, 0)
    bucket.rm_file("/out/scores/receipts/part-00002-000000.json")
    assert scorer.score(asked).resumed == 4
    bucket.get("/out/scores", str(tmp_path / "got"), recursive=True)
    scorer.score(Request(str(folder / "of-*"), str(tmp_path / "out")))
    assert contents(tmp_path / "got").keys() == contents(tmp_path / "out").keys()
    bucket.pipe_file("/in/of-csv.csv", (folder / "of-csv.csv").read_bytes())
    with pytest.raises(ScoringError, match=r"memory:///?in/of-csv\.csv has changed since"):
        scorer.score(asked)
    assert scorer.score(Request(asked.input, asked.output, overwrite=True)).resumed == 0


def test_file_urls_are_files(folder: Path, tmp_path: Path, registry: Registry, version: str) -> None:
    """Published atomically as such."""
    scorer = file_scorer(SCHEMA, registry)
    scorer.score(Request(f"file://{folder}/of-csv.csv", f"file://{tmp_path}/out"))
    assert isinstance(storage_of(f"file://{tmp_path}"), LocalStorage)
    assert (tmp_path / "out" / "summary.json").exists()


def test_an_unknown_scheme_is_one_line(registry: Registry, version: str) -> None:
    """Not a traceback."""
    with pytest.raises(ScoringError, match="nope://x"):
        file_scorer(SCHEMA, registry).score(Request("nope://x", "out"))


def test_a_draft_is_published_whole_or_not_at_all(tmp_path: Path) -> None:
    """And nothing of it is left."""
    storage, target = LocalStorage(), tmp_path / "deep" / "file"
    with storage.draft(str(target)) as draft:
        draft.write_bytes(b"first")
        assert not target.exists()
    assert target.read_bytes() == b"first"

    def fail() -> None:
        with storage.draft(str(target)) as draft:
            draft.write_bytes(b"second")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_bytes() == b"first"
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_names_with_a_patterns_signs_are_names_first(tmp_path: Path) -> None:
    """A file may be called so."""
    (tmp_path / "a[1].csv").touch()
    (tmp_path / "a1.csv").touch()
    assert LocalStorage().find(str(tmp_path / "a[1].csv")) == [str(tmp_path / "a[1].csv")]
    (tmp_path / "a[1].csv").unlink()
    assert LocalStorage().find(str(tmp_path / "a[1].csv")) == [str(tmp_path / "a1.csv")]
