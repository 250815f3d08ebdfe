"""Whole scorings: files in, a folder of results out, the same whatever the format, the partitions or the engine."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.contract.schema import FeatureSchema
from app.errors import DataError, RegistryError, ScoringError
from app.model.registry import Registry
from app.scoring.bulk import Model, digest_of, scorer_of
from app.scoring.plan import BLOCK_ROWS
from app.scoring.results import RejectedFor, Summary
from app.scoring.run import FileScorer, Request
from tests.conftest import draft_of
from tests.fakes import RaisingModel
from tests.unit.scoring.crafting import FORMATS, Line, contents, file_scorer, lines_of, results, without_source, write

SCHEMA = FeatureSchema()
BAD = {"lag_1": None, "region_id": 99.0}


def some_lines(count: int, seed: int = 5) -> list[Line]:
    """Of which every 50th is bad."""
    lines = lines_of(SCHEMA, SCHEMA.sample(count, seed))
    return [{**line, **BAD} if place % 50 == 7 else line for place, line in enumerate(lines)]


@pytest.fixture
def scorer(registry: Registry, version: str) -> FileScorer:
    return file_scorer(SCHEMA, registry)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same 20,000 rows in every format: two whole blocks, and a part of one."""
    folder, lines = tmp_path_factory.mktemp("files"), some_lines(20_000)
    return {kind: write(folder, kind, lines) for kind in FORMATS}


def model_of(scorer: FileScorer, version: str) -> Model:
    """As the scorer itself names it, so that `scorer_of` gives the very same chain."""
    folder = scorer.registry.folder.resolve()
    return Model(FeatureSchema, scorer.rule, folder, version, digest_of(folder, version))


def run(scorer: FileScorer, source: Path | str, output: Path | str, **more: Any) -> Summary:
    return scorer.score(Request(str(source), str(output), **more))


def test_every_row_is_in_the_results_once(scorer: FileScorer, version: str, tmp_path: Path) -> None:
    """Scored as the service would, or rejected with every reason."""
    lines = some_lines(100)
    source = write(tmp_path, "jsonl", lines)
    summary = run(scorer, source, tmp_path / "out", keep=("id",))
    good = [place for place in range(100) if place % 50 != 7]
    rows = SCHEMA.matrix([tuple(lines[place][name] for name in SCHEMA.names) for place in good])
    scores, stage, _ = scorer_of(model_of(scorer, version)).answer(rows)
    assert results(tmp_path / "out") == [
        {"source": str(source), "row": place + 1, "id": f"row {place}", "prediction": score,
         "is_anomaly": score >= stage.threshold, "model_used": "primary", "model_version": version}
        for place, score in zip(good, scores.tolist(), strict=True)
    ]  # fmt: skip
    assert results(tmp_path / "out", "rejected") == [
        {"source": str(source), "row": place + 1, "id": f"row {place}", "feature": feature, "code": code,
         "reason": reason}
        for place in (7, 57)
        for feature, code, reason in (
            ("region_id", "out_of_range", "region_id=99 out of range [0, 10]"),
            ("lag_1", "not_numeric", "lag_1 must be numeric, got NoneType"),
        )
    ]  # fmt: skip
    assert summary == Summary(
        output=str(tmp_path / "out"), version=version, files=1, partitions=1, resumed=0, rows=100, scored=98,
        anomalies=int(np.count_nonzero(scores >= 0.5)), stages={"primary": 98}, rejected=2,
        reasons=[
            RejectedFor(feature="lag_1", code="not_numeric", rows=2),
            RejectedFor(feature="region_id", code="out_of_range", rows=2),
        ],
        absent={}, failure=None,
    )  # fmt: skip
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["rows"] == 100


@pytest.fixture
def reference(scorer: FileScorer, files: dict[str, Path], tmp_path: Path) -> Path:
    """The results of one partition a file, as it comes."""
    run(scorer, files["parquet"], tmp_path / "reference", keep=("id",))
    return tmp_path / "reference"


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(FORMATS),
    partition_rows=st.integers(1, 3 * BLOCK_ROWS),
    output_format=st.sampled_from(["parquet", "csv"]),
)
def test_formats_and_partitions_change_nothing(
    scorer: FileScorer, files: dict[str, Path], reference: Path, tmp_path_factory: pytest.TempPathFactory,
    kind: str, partition_rows: int, output_format: Any,
) -> None:  # fmt: skip
    """To the last bit, rejected rows and kept columns too."""
    folder = tmp_path_factory.mktemp("out")
    more = {"partition_rows": partition_rows, "output_format": output_format}
    found = run(scorer, files[kind], folder / "out", keep=("id",), **more)
    assert (found.rows, found.rejected) == (20_000, 400)
    assert found.partitions == -(-20_000 // (-(-partition_rows // BLOCK_ROWS) * BLOCK_ROWS))
    for part in ("scored", "rejected"):
        expected = without_source(results(reference, part))
        assert without_source(results(folder / "out", part)) == expected


def test_what_is_done_is_not_done_again(scorer: FileScorer, files: dict[str, Path], tmp_path: Path) -> None:
    """A partition without its receipt was not done, whatever else is there; drafts of the dead are gone."""
    output = tmp_path / "out"
    first = run(scorer, files["csv"], output, partition_rows=BLOCK_ROWS)
    before = contents(output)
    stamps = {path: path.stat().st_mtime_ns for path in (output / "scored").iterdir()}
    (output / "receipts" / "part-00000-000001.json").unlink()
    (output / "summary.json").unlink()
    (output / "scored" / "part-00000-000001.parquet").write_bytes(b"torn")
    (output / "scored" / ".part-00000-000001.parquet.dead").write_bytes(b"torn")
    second = run(scorer, files["csv"], output, partition_rows=BLOCK_ROWS)
    assert second == msgspec.structs.replace(first, resumed=2)
    assert contents(output) == before
    changed = {path.name for path, stamp in stamps.items() if path.stat().st_mtime_ns != stamp}
    assert changed == {"part-00000-000001.parquet"}
    assert run(scorer, files["csv"], output, partition_rows=BLOCK_ROWS) == msgspec.structs.replace(first, resumed=3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"partition_rows": BLOCK_ROWS}, f"partition size 131072, now {BLOCK_ROWS}"),
        ({"output_format": "csv"}, "format parquet, now csv"),
        ({"keep": ("id",)}, r"kept columns \[\], now \['id'\]"),
        ({"version": "other"}, "version .*, now .*"),
    ],
)
def test_another_scoring_does_not_mix_with_this_one(
    scorer: FileScorer, registry: Registry, logistic: Any, tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    """It says what is different; --overwrite begins anew."""
    source, output = write(tmp_path, "csv", some_lines(60)), tmp_path / "out"
    run(scorer, source, output)
    if "version" in change:
        change = {"version": registry.register(draft_of(SCHEMA, primary=logistic))}
    before = contents(output)
    with pytest.raises(ScoringError, match=f"holds another scoring: {words}; name another --output"):
        run(scorer, source, output, **change)
    assert contents(output) == before
    assert run(scorer, source, output, overwrite=True, **change).resumed == 0
    assert len(contents(output)) == 3
    assert run(scorer, source, output, **change).resumed == 1


def test_changed_input_does_not_mix_either(scorer: FileScorer, tmp_path: Path) -> None:
    """Touched, gone or new files: each is named."""
    folder, output = tmp_path / "in", tmp_path / "out"
    first, second = (write(folder, "csv", some_lines(60, seed), f"file{seed}") for seed in (1, 2))
    run(scorer, folder / "*.csv", output)
    os.utime(first, ns=(1, 1))
    with pytest.raises(ScoringError, match=r"file1\.csv has changed since"):
        run(scorer, folder / "*.csv", output)
    run(scorer, folder / "*.csv", output, overwrite=True)
    write(folder, "csv", some_lines(60), "file3")
    with pytest.raises(ScoringError, match=r"file3\.csv was not among the input files"):
        run(scorer, folder / "*.csv", output)
    (folder / "file3.csv").unlink()
    second.unlink()
    with pytest.raises(ScoringError, match=r"file2\.csv is no longer among the input files"):
        run(scorer, folder / "*.csv", output)


def test_a_file_that_changes_meanwhile_stops_the_run(
    scorer: FileScorer, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its partitions would not fit each other."""
    source = tmp_path / "rows.csv"
    source.write_bytes(files["csv"].read_bytes())
    from app.scoring import run as module

    def touched(*arguments: Any) -> Iterator[Any]:
        for partition in original(*arguments):
            os.utime(source, ns=(partition.number, 1))
            yield partition

    original = module._partitions
    monkeypatch.setattr(module, "_partitions", touched)
    with pytest.raises(ScoringError, match=r"rows\.csv: has changed since its partitions were planned"):
        run(scorer, source, tmp_path / "out")
    assert not (tmp_path / "out" / "summary.json").exists()


def test_a_folder_of_something_else_is_left_alone(scorer: FileScorer, tmp_path: Path) -> None:
    """Even with --overwrite."""
    source, output = write(tmp_path, "csv", some_lines(60)), tmp_path / "precious"
    output.mkdir()
    (output / "photo.jpg").write_bytes(b"1")
    for overwrite in (False, True):
        with pytest.raises(ScoringError, match="is not empty, and nothing that 'flask score' made"):
            run(scorer, source, output, overwrite=overwrite)
    with pytest.raises(ScoringError, match=r"photo\.jpg is a file; --output names a folder"):
        run(scorer, source, output / "photo.jpg")
    assert [path.name for path in output.iterdir()] == ["photo.jpg"]


@pytest.mark.parametrize("output", ["/proc/scores", "/dev/null/scores"])
def test_a_folder_that_cannot_be_made_is_one_line(scorer: FileScorer, tmp_path: Path, output: str) -> None:
    """With its name."""
    with pytest.raises(ScoringError, match=f"^{output.removesuffix('/scores')}"):
        run(scorer, write(tmp_path, "csv", some_lines(60)), output)


def test_a_damaged_manifest_is_named(scorer: FileScorer, tmp_path: Path) -> None:
    """And --overwrite begins anew."""
    source, output = write(tmp_path, "csv", some_lines(60)), tmp_path / "out"
    run(scorer, source, output)
    (output / "manifest.json").write_text("{")
    with pytest.raises(ScoringError, match=r"manifest\.json is none of 'flask score': .*; add --overwrite"):
        run(scorer, source, output)
    assert run(scorer, source, output, overwrite=True).rows == 60


def test_patterns_take_files_of_all_kinds_in_order(scorer: FileScorer, tmp_path: Path) -> None:
    """Each with its own rows, counted from 1."""
    folder = tmp_path / "in" / "day=1"
    for place, kind in enumerate(FORMATS):
        write(folder, kind, some_lines(60, place), f"file{place}")
    summary = run(scorer, tmp_path / "in" / "**" / "file*", tmp_path / "out")
    assert (summary.files, summary.rows, summary.rejected) == (5, 300, 10)
    found = results(tmp_path / "out") + results(tmp_path / "out", "rejected")[::2]
    places = sorted((line["source"], line["row"]) for line in found)
    expected = [(str(folder / f"file{place}.{kind}"), row) for place, kind in enumerate(FORMATS)
                for row in range(1, 61)]  # fmt: skip
    assert places == expected


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", "a.csv: no line with the columns' names"),
        ("a.csv", b"lag_1,x\n1,2\n", r"a.csv: Missing features: \['metric_value', "),
        ("a.csv", b"\xff\xfe\n", "a.csv: its first line names no columns: "),
        ("a.csv", b"lag_1," + ",".join(SCHEMA.names).encode() + b"\n", "a.csv: column 'lag_1': appears more than once"),
        ("a.csv.gz", b"oops", r"a.csv.gz: not a whole gzip file: Not a gzipped file \(b'oo'\)"),
        ("a.jsonl.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00", "a.jsonl.gz: not a whole gzip file: "),
        ("a.parquet", b"oops", "a.parquet: not a readable Parquet file: "),
        ("a.parquet.gz", b"", "a.parquet.gz: the name must end in .csv, .jsonl, .ndjson, .parquet"),
        ("a.txt", b"", "a.txt: the name must end in "),
    ],
)
def test_a_file_that_is_none_is_one_line(
    scorer: FileScorer, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    """Before anything is scored, where it can be known."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words) as error:
        run(scorer, tmp_path / name, tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out" / "summary.json").exists()


def test_other_mistakes_are_one_line(scorer: FileScorer, tmp_path: Path) -> None:
    """Each with what to do."""
    source = write(tmp_path, "csv", some_lines(60))
    for request, words in (
        (Request("nowhere*.csv", "out"), r"nowhere\*.csv: no such file"),
        (Request(str(tmp_path), "out"), "is a folder; name its files, such as '.*parquet'"),
        (Request(str(source), "out", keep=("nope",)), "column 'nope': missing; --keep asks for it"),
        (
            Request(str(source), "out", keep=("prediction",)),
            "--keep prediction: the results have a column of that name",
        ),
        (Request(str(source), "out", version="v9"), "no version 'v9'"),
    ):
        with pytest.raises((DataError, ScoringError, RegistryError), match=words):
            scorer.score(replace(request, output=str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()


def test_without_a_version_there_is_nothing_to_score_with(registry: Registry, tmp_path: Path) -> None:
    """It must be named."""
    with pytest.raises(RegistryError, match="no version is active; name one with --version"):
        run(file_scorer(SCHEMA, registry), "x.csv", tmp_path / "out")


def test_a_header_and_no_rows_are_no_rows(scorer: FileScorer, tmp_path: Path) -> None:
    """A byte order mark before it is none of it."""
    source = tmp_path / "a.csv"
    source.write_bytes(b"\xef\xbb\xbf" + ",".join(SCHEMA.names).encode() + b"\n")
    summary = run(scorer, source, tmp_path / "out")
    assert (summary.rows, summary.partitions) == (0, 0)
    assert (tmp_path / "out" / "summary.json").exists()


def test_a_gzip_file_that_is_cut_off_keeps_what_was_whole(
    scorer: FileScorer, files: dict[str, Path], tmp_path: Path
) -> None:
    """The rows before are scored; the run is a failure."""
    source = tmp_path / "rows.csv.gz"
    source.write_bytes(files["csv.gz"].read_bytes()[:-1_000])
    with pytest.raises(DataError, match="not a whole gzip file"):
        run(scorer, source, tmp_path / "out", partition_rows=BLOCK_ROWS)
    assert 0 < len(results(tmp_path / "out")) < 20_000
    assert not (tmp_path / "out" / "summary.json").exists()


def test_a_version_without_its_primary_says_so(registry: Registry, logistic: Any, tmp_path: Path) -> None:
    """Every row is labelled, and the summary has the reason."""
    name = registry.register(draft_of(SCHEMA, primary=logistic, fallback=logistic))
    (registry.folder / name / "primary.joblib").write_bytes(b"oops")
    summary = run(file_scorer(SCHEMA, registry), write(tmp_path, "csv", some_lines(60)), tmp_path / "out", version=name)
    assert summary.stages == {"fallback": 58}
    assert "SHA-256" in summary.absent["primary"]


def test_every_block_is_labelled_with_its_stage(
    scorer: FileScorer, files: dict[str, Path], tmp_path: Path, version: str
) -> None:
    """A model that fails on one block loses that one only, and the first failure is told."""
    stages = scorer_of(model_of(scorer, version)).chain.stages
    original, asked = stages[0].scorer, list[int]()

    class FailsOnTheSecondBlock:
        inline_rows = float("inf")

        def score(self, rows: Any) -> Any:
            asked.append(len(rows))
            return original.score(rows) if len(asked) != 2 else RaisingModel().predict_proba(rows)

    stages[0].scorer = FailsOnTheSecondBlock()  # type: ignore[assignment]
    summary = run(scorer, files["parquet"], tmp_path / "out")
    assert summary.stages == {"fallback": asked[1], "primary": asked[0] + asked[2]}
    assert summary.failure == "primary: exception (RuntimeError: this model cannot predict)"
    used = [line["model_used"] for line in results(tmp_path / "out") if BLOCK_ROWS < line["row"] <= 2 * BLOCK_ROWS]
    assert set(used) == {"fallback"}
