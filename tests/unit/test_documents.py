"""Every command in every document is run by a test, or accounted for by name."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from contextlib import suppress
from typing import Any

import click
import pytest
import yaml

from app.factory import create_app
from app.settings import Settings
from tests import sensor
from tests.documents.blocks import ROOT, Block, blocks, documents, flask_arguments, inline, make_arguments
from tests.documents.elsewhere import ELSEWHERE, PROGRAMS, SPOKEN_OF, Proof
from tests.documents.test_blocks_run import BLOCKS
from tests.documents.test_incident import TRANSCRIPTS
from tests.unit.deploy.manifests import objects

CONSOLE = [block for document in documents() for block in blocks(document, "console")]
INLINE = sorted({code for document in documents() for code in inline(document)})
TYPED = sorted({*INLINE, *(command for block in CONSOLE for command in block.commands)})
KINDS = {"bash", "console", "python", "json", "toml", "text"}


def test_every_bash_block_is_run() -> None:
    """In documents that nobody has written yet, too; an empty list would pass all else."""
    fences = sum((ROOT / document).read_text().count("```bash\n") for document in documents())
    assert len(BLOCKS) == fences >= 40


@pytest.mark.parametrize("document", documents())
def test_every_block_says_what_it_is(document: str) -> None:
    """One of another kind would be looked at by nobody."""
    fences = re.findall(r"^\s*```", (ROOT / document).read_text(), re.MULTILINE)
    assert len(fences) == 2 * len(blocks(document, *KINDS))


def test_every_transcript_is_played() -> None:
    """By the test of the incident, all of them."""
    assert [block for block in CONSOLE if block.is_transcript] == TRANSCRIPTS


@pytest.mark.parametrize("block", [block for block in CONSOLE if not block.is_transcript], ids=lambda block: block.id)
def test_what_a_console_block_holds_is_accounted_for(block: Block) -> None:
    """What cannot be run as it stands is run, or checked as far as can be, elsewhere."""
    assert [command for command in block.commands if command not in ELSEWHERE] == []


@pytest.mark.parametrize("code", [code for code in INLINE if code.startswith(PROGRAMS)])
def test_what_a_sentence_says_of_other_programs_is_accounted_for(code: str) -> None:
    """Within a sentence too."""
    assert code in SPOKEN_OF or code in ELSEWHERE


def test_nothing_is_accounted_for_that_no_document_has() -> None:
    """What was reworded leaves nothing behind."""
    assert sorted({*ELSEWHERE, *SPOKEN_OF} - {*TYPED}) == []


@pytest.mark.parametrize("proof", sorted({*ELSEWHERE.values(), *SPOKEN_OF.values()}, key=str), ids=str)
def test_what_accounts_for_a_command_exists(proof: Proof) -> None:
    """The file, and in it the words that do it."""
    assert proof.words in (ROOT / proof.path).read_text()


@pytest.mark.parametrize("given", [given for code in TYPED for given in make_arguments(code)], ids=" ".join)
def test_make_knows_every_target(given: list[str]) -> None:
    """With all of its variables, and a recipe that can be read."""
    makefile = (ROOT / "Makefile").read_text()
    variables = [word.partition("=")[0] for word in given if "=" in word]
    assert [name for name in variables if f"$({name})" not in makefile] == []
    assert subprocess.run(["make", "-n", *given], cwd=ROOT, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("given", [given for code in TYPED for given in flask_arguments(code)], ids=" ".join)
def test_the_command_line_knows_every_command_and_option(
    given: list[str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As click itself reads them; a sentence may leave out what a command needs."""
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
    cli = create_app(settings).cli
    parse(cli, given)


def parse(command: click.Command, given: list[str]) -> None:
    """Reads the arguments of a command, group by group, and calls nothing."""
    if isinstance(command, click.Group) and given:
        name, *rest = given
        assert name in command.commands
        parse(command.commands[name], rest)
        return
    with suppress(click.BadParameter, click.BadOptionUsage):  # it is missing, or names a file that is not here
        command.make_context(command.name, list(given))


def test_kubectl_speaks_of_objects_that_are_there() -> None:
    """Workloads, secrets and folders by their names in the manifests."""
    typed = " ".join(code for code in TYPED if "kubectl" in code)
    workloads = set(re.findall(r"(?<!-k )\bdeploy(?:ment)?/([\w-]+)", typed))
    assert workloads == {item["metadata"]["name"] for item in objects("overlays/baked") if item["kind"] == "Deployment"}
    assert all((ROOT / folder / "kustomization.yaml").is_file() for folder in re.findall(r"-k (\S+)", typed))


@pytest.mark.parametrize("code", [code for code in [*ELSEWHERE, *SPOKEN_OF] if code.startswith("kubectl ")])
def test_kubectl_knows_every_command_and_option(code: str) -> None:
    """By its own parser, which needs no cluster to give help."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    ours = re.split(r" -- | \| ", code)[0]
    done = subprocess.run([*shlex.split(ours), "--help"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip() == "") == (0, False), done.stderr


def test_the_container_is_started_with_no_more_rights_than_compose_gives_it() -> None:
    """The same service, however it is started."""
    (command,) = (code for code in ELSEWHERE if code.startswith("docker run "))
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["anomaly-service"]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    options = {"--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", f"--shm-size={service['shm_size']}"}
    options |= {*service["volumes"]}
    assert options <= set(command.split())


def test_the_contract_that_the_readme_shows_is_the_one_that_tests_serve() -> None:
    """Features, ranges and rule."""
    (block,) = blocks("README.md", "python")
    shown: dict[str, Any] = {"__name__": "sensor"}
    exec(block.text, shown)  # noqa: S102 - our own document
    assert shown["SensorSchema"]().features == sensor.SensorSchema().features
    rows = sensor.SensorSchema().sample(200)
    assert (shown["too_hot"](rows) == sensor.too_hot(rows)).all()
