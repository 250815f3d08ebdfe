"""`flask models register` of MLflow directories and skops files, and `flask models export`."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import skops.io
from sklearn.ensemble import RandomForestClassifier

from app.contract.schema import FeatureSchema
from app.model.registry import Registry
from app.model.scorer import estimator_scores
from tests.conftest import draft_of
from tests.unit.commands.conftest import Run
from tests.unit.commands.test_models import document, done, refused
from tests.unit.model.crafting import Bomb, Scoring, skops_bomb
from tests.unit.model.mlflow_folders import write_mlflow

TREE = "sklearn.tree._tree.Tree"


@pytest.fixture
def golden(tmp_path: Path, schema: FeatureSchema) -> Path:
    """A table of valid rows."""
    path = tmp_path / "golden.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([schema.names, *schema.sample(60).tolist()])
    return path


@pytest.fixture
def forest(schema: FeatureSchema) -> Any:
    """Trees are a type that skops does not vouch for."""
    rows = schema.sample(100)
    return RandomForestClassifier(5, random_state=0).fit(rows, rows[:, 0] > rows[:, 6])


# --- MLflow -------------------------------------------------------------------------------------------------


def test_an_exported_stage_registers_with_the_same_scores(run: Run, registry: Registry, tmp_path: Path) -> None:
    """The shipped primary: golden rows, scores and threshold, bit for bit."""
    schema = FeatureSchema()
    shipped = Registry(Path(__file__).parents[3] / "models", schema)
    active = shipped.active()
    assert active is not None
    bundle = shipped.load(active)
    first = registry.register(draft_of(schema, primary=bundle.estimators["primary"]))
    source, folder = registry.manifest(first), tmp_path / "for mlflow"
    assert done(run("export", "--mlflow", folder, "--version", first)) == f"wrote the primary of {first} to {folder}\n"
    golden = tmp_path / "golden.csv"  # fewer rows than an example needs
    with golden.open("w", newline="") as file:
        csv.writer(file).writerows([schema.names, *source.golden_rows])
    again = document(run("register", "--mlflow", folder, "--golden", golden, "--json"))
    assert again["active"] is True
    found = registry.verify(again["version"])
    assert found.golden_rows == source.golden_rows
    assert found.stages["primary"] == source.stages["primary"]


def test_an_input_example_stands_in_for_a_table(
    run: Run, registry: Registry, tmp_path: Path, schema: FeatureSchema, logistic: Any
) -> None:
    """Its model becomes the primary, beside a fallback as ever, and its threshold is the primary's alone."""
    folder = write_mlflow(
        tmp_path / "m", schema, logistic, schema.sample(60),
        lambda description: description.update(metadata={"anomaly_threshold": 0.3}),
    )  # fmt: skip
    joblib.dump(Scoring(0.25), tmp_path / "fallback.joblib")
    arguments = ["register", "--mlflow", folder, "--fallback", tmp_path / "fallback.joblib"]
    assert done(run(*arguments)).startswith("registered ")
    (version,) = registry.versions()
    manifest = registry.verify(version)
    assert {name: stage.threshold for name, stage in manifest.stages.items()} == {"primary": 0.3, "fallback": 0.5}
    assert manifest.training.data == "input_example.json, 60 rows; trained elsewhere"
    golden_scores = estimator_scores(logistic, np.array(manifest.golden_rows))
    assert manifest.stages["primary"].golden_scores == golden_scores.tolist()
    second = document(run(*arguments, "--threshold", "0.7", "--json"))
    assert [stage.threshold for stage in registry.manifest(second["version"]).stages.values()] == [0.7, 0.7]


@pytest.mark.parametrize("flags", [pytest.param([], id="in words"), pytest.param(["--json"], id="as JSON")])
def test_a_directory_that_does_not_fit_is_refused_before_it_is_unpickled(
    run: Run, registry: Registry, tmp_path: Path, schema: FeatureSchema, golden: Path, flags: list[str]
) -> None:
    """One line, status 1, no version."""
    trace = tmp_path / "trace"
    folder = write_mlflow(
        tmp_path / "m", schema, Bomb(trace), schema.sample(60),
        lambda description: description["flavors"]["sklearn"].update(sklearn_version="1.0.2"),
    )  # fmt: skip
    problem = refused(run("register", "--mlflow", folder, "--golden", golden, *flags))
    assert problem.startswith("made in another environment: scikit-learn 1.0.2 there, ")
    assert not trace.exists()
    assert registry.versions() == []


def test_the_trust_that_a_directory_claims_for_itself_counts_for_nothing(
    run: Run, registry: Registry, tmp_path: Path, schema: FeatureSchema, forest: Any
) -> None:
    """MLflow believes the list in MLmodel; here it is for whoever registers to say."""
    folder = write_mlflow(
        tmp_path / "m", schema, None, schema.sample(60),
        lambda description: description["flavors"]["sklearn"].update(
            pickled_model="model.skops", serialization_format="skops", skops_trusted_types=[TREE]
        ),
    )  # fmt: skip
    skops.io.dump(forest, folder / "model.skops")
    assert refused(run("register", "--mlflow", folder)).endswith(f"add --trust {TREE}")
    assert document(run("register", "--mlflow", folder, "--trust", TREE, "--json"))["active"] is True
    (version,) = registry.versions()
    registry.verify(version)


def test_a_model_that_only_a_notebook_can_pickle_is_refused(
    run: Run, registry: Registry, tmp_path: Path, schema: FeatureSchema
) -> None:
    """Cloudpickle takes a class of `__main__` along by value; no worker could load what is saved of it here."""
    cloudpickle = pytest.importorskip("cloudpickle")
    space: dict[str, Any] = {"__name__": "__main__", "Scoring": Scoring}
    exec("class Own(Scoring):\n    pass", space)  # noqa: S102 - as a notebook does
    folder = write_mlflow(tmp_path / "m", schema, None, schema.sample(60))
    (folder / "model.pkl").write_bytes(cloudpickle.dumps(space["Own"](0.5)))
    assert refused(run("register", "--mlflow", folder)).startswith("primary: cannot be saved, so no worker could load")
    assert registry.versions() == []


@pytest.mark.parametrize(
    ("stage", "flags"),
    [pytest.param("primary", [], id="by default"), pytest.param("fallback", ["--stage", "fallback"], id="named")],
)
def test_an_export_as_json_lists_its_files(
    run: Run, version: str, tmp_path: Path, stage: str, flags: list[str]
) -> None:
    """Of the active version where none is named."""
    folder = tmp_path / "m"
    assert document(run("export", "--mlflow", folder, *flags, "--json")) == {
        "version": version,
        "stage": stage,
        "folder": str(folder),
        "files": ["MLmodel", "conda.yaml", "input_example.json", "model.pkl", "python_env.yaml", "requirements.txt"],
    }


@pytest.mark.parametrize("flags", [pytest.param([], id="in words"), pytest.param(["--json"], id="as JSON")])
def test_an_export_that_cannot_be_done_is_one_line(run: Run, version: str, tmp_path: Path, flags: list[str]) -> None:
    """And status 1."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    problem = refused(run("export", "--mlflow", tmp_path / "full", *flags))
    assert problem == f"{tmp_path / 'full'}: exists and is not empty; name a new directory"
    assert refused(run("export", "--mlflow", tmp_path / "m", "--version", "v9", *flags)).startswith("no version 'v9'")
    below_a_file = tmp_path / "full" / "x" / "m"
    assert refused(run("export", "--mlflow", below_a_file, *flags)).endswith("cannot be written: File exists")


# --- skops --------------------------------------------------------------------------------------------------


def test_skops_files_register_as_joblib_files_do(
    run: Run, registry: Registry, tmp_path: Path, golden: Path, logistic: Any, forest: Any
) -> None:
    """As primary and as fallback, each type vouched for by name."""
    paths = [tmp_path / "primary.skops", tmp_path / "fallback.skops"]
    skops.io.dump(logistic, paths[0])
    skops.io.dump(forest, paths[1])
    arguments = ["register", "--primary", paths[0], "--fallback", paths[1], "--golden", golden]
    assert refused(run(*arguments)).endswith(f"fallback.skops: {VOUCH} --trust {TREE}")
    assert registry.versions() == []
    found = document(run(*arguments, "--trust", TREE, "--json"))
    stages = registry.verify(found["version"]).stages
    rows = np.array(registry.manifest(found["version"]).golden_rows)
    assert stages["primary"].golden_scores == estimator_scores(logistic, rows).tolist()
    assert stages["fallback"].golden_scores == estimator_scores(forest, rows).tolist()


VOUCH = "holds types that skops does not know to be harmless; if you do, add"


def test_a_malicious_skops_file_is_refused_without_being_built(
    run: Run, registry: Registry, tmp_path: Path, golden: Path
) -> None:
    """Also where something else in it is vouched for."""
    trace = tmp_path / "trace"
    path = skops_bomb(tmp_path / "a.skops", trace)
    problem = refused(run("register", "--primary", path, "--golden", golden, "--trust", TREE))
    assert problem == f"{path}: {VOUCH} --trust posix.mkdir"
    assert not trace.exists()
    assert registry.versions() == []


# --- wrong use ----------------------------------------------------------------------------------------------


def test_a_main_estimator_is_named_once_and_with_rows(
    run: Run, registry: Registry, tmp_path: Path, golden: Path
) -> None:
    """Status 2, and what to do."""
    either = "name the main estimator with either --primary or --mlflow"
    for arguments, problem in (
        ([], either),
        (["--primary", golden, "--mlflow", tmp_path], either),
        (["--primary", golden], "name a CSV of valid rows with --golden"),
        (["--mlflow", golden], f"Directory '{golden}' is a file"),
        (["--mlflow", tmp_path / "gone"], f"Directory '{tmp_path / 'gone'}' does not exist"),
    ):
        result = run("register", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert problem in result.stderr
    assert registry.versions() == []
