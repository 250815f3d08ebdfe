"""Settings fail loudly, all at once, and never show a secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.errors import SettingsError
from app.settings import SECRETS, Settings, available_cpus, load_settings

KEY = "correct horse battery staple"


def problems(environ: dict[str, str]) -> tuple[str, ...]:
    """What is wrong with an environment."""
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)
    return caught.value.problems


def test_an_empty_environment_gives_the_defaults() -> None:
    """Those that other people's manifests, probes and dashboards rely on."""
    settings = load_settings({})
    assert (settings.host, settings.port) == ("0.0.0.0", 5000)  # noqa: S104
    assert settings.log_level == "INFO"
    assert settings.models_dir == Path("models")
    assert settings.audit_dir == Path("audit")
    assert not settings.audit_required
    assert (settings.primary_deadline_ms, settings.fallback_deadline_ms) == (250, 100)
    assert settings.breaker_failures == 5
    assert settings.model_signing_key is None
    assert settings.feature_schema == "app.contract.schema:FeatureSchema"
    assert settings.baseline_rule == "app.model.rule:z_score_rule"
    assert settings.drain_s == 0


def test_the_process_environment_is_the_default_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """`load_settings()` is what the service calls."""
    monkeypatch.setenv("PORT", "5123")
    assert load_settings().port == 5123


def test_every_variable_is_its_field_in_capitals() -> None:
    """Numbers, flags, paths and references arrive typed; unknown variables are someone else's."""
    settings = load_settings(
        {
            "PORT": "8080", "WEB_CONCURRENCY": "3", "LOG_LEVEL": "DEBUG", "AUDIT_REQUIRED": "1", "ACCESS_LOG": "false",
            "MODELS_DIR": "/data/models", "PRIMARY_DEADLINE_MS": "12.5", "FEATURE_SCHEMA": "my_rules:Boiler",
            "BASELINE_RULE": "my_rules:rule", "DRAIN_S": "5", "GRACEFUL_TIMEOUT_S": "20", "PATH": "/bin", "port": "1",
        }
    )  # fmt: skip
    assert (settings.port, settings.web_concurrency, settings.log_level) == (8080, 3, "DEBUG")
    assert settings.audit_required
    assert not settings.access_log
    assert settings.models_dir == Path("/data/models")
    assert settings.primary_deadline_ms == 12.5
    assert (settings.feature_schema, settings.baseline_rule) == ("my_rules:Boiler", "my_rules:rule")
    assert (settings.drain_s, settings.graceful_timeout_s) == (5, 20)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        pytest.param("PORT", "http", id="no number"),
        pytest.param("PORT", "", id="empty number"),
        pytest.param("PORT", "65536", id="port too large"),
        pytest.param("PORT", "-1", id="port negative"),
        pytest.param("WEB_CONCURRENCY", "0", id="no workers"),
        pytest.param("WEB_CONCURRENCY", "auto", id="workers in words"),
        pytest.param("LOG_LEVEL", "debug", id="level in lower case"),
        pytest.param("AUDIT_REQUIRED", "maybe", id="flag in words"),
        pytest.param("PRIMARY_DEADLINE_MS", "0", id="deadline of nothing"),
        pytest.param("FALLBACK_DEADLINE_MS", "nan", id="deadline not a number"),
        pytest.param("FEATURE_SCHEMA", "my_rules.Boiler", id="reference without a colon"),
        pytest.param("FEATURE_SCHEMA", "../rules.py:Boiler", id="reference to a path"),
        pytest.param("BASELINE_RULE", "my_rules:rule()", id="reference with a call"),
        pytest.param("BASELINE_RULE", "my_rules:rule\n", id="reference with a line break"),
        pytest.param("MAX_BODY_BYTES", "4MB", id="size with a unit"),
        pytest.param("BREAKER_FAILURES", "0", id="breaker that is always open"),
        pytest.param("DRAIN_S", "-1", id="negative duration"),
        pytest.param("SELF_TEST_INTERVAL_S", "0", id="interval of nothing"),
    ],
)
def test_a_wrong_value_is_named_with_its_variable(variable: str, value: str) -> None:
    """One sentence that starts with the variable and shows what was given."""
    (problem,) = problems({variable: value})
    assert problem.startswith(f"{variable}: ")
    assert problem.endswith(f", got {value!r}")


def test_all_problems_are_reported_at_once() -> None:
    """Nobody repairs an environment one restart at a time."""
    environ = {"PORT": "x", "LOG_LEVEL": "loud", "MAX_BATCH_ROWS": "0", "MODEL_SIGNING_KEY_FILE": "/nowhere/key"}
    found = problems(environ)
    assert sorted(problem.split(":")[0] for problem in found) == sorted(environ)


def test_the_error_text_lists_every_problem_on_its_own_line() -> None:
    """It is what a crashing container prints."""
    with pytest.raises(SettingsError) as caught:
        load_settings({"PORT": "x", "LOG_LEVEL": "loud"})
    first, *rest = str(caught.value).splitlines()
    assert first == "invalid settings:"
    assert [line.strip() for line in rest] == list(caught.value.problems)


def test_an_impossible_drain_is_reported_beside_other_problems() -> None:
    """All at once also holds for problems between two variables."""
    found = problems({"PORT": "x", "DRAIN_S": "30", "GRACEFUL_TIMEOUT_S": "20"})
    assert sorted(problem.split(":")[0] for problem in found) == ["DRAIN_S", "PORT"]


@pytest.mark.parametrize(
    ("drain", "graceful", "fine"),
    [
        pytest.param("19.9", "20", True, id="below"),
        pytest.param("20", "20", False, id="equal"),
        pytest.param("21", "20", False, id="above"),
    ],
)
def test_draining_must_leave_time_to_finish(drain: str, graceful: str, fine: bool) -> None:
    """Else every shutdown would end in a kill."""
    environ = {"DRAIN_S": drain, "GRACEFUL_TIMEOUT_S": graceful}
    if fine:
        assert load_settings(environ).drain_s == float(drain)
    else:
        sentence = f"DRAIN_S: {drain} leaves nothing of GRACEFUL_TIMEOUT_S={graceful}; lower it or raise the other"
        assert problems(environ) == (sentence,)


def test_an_empty_audit_dir_turns_the_audit_off() -> None:
    """The one way to say so."""
    assert load_settings({"AUDIT_DIR": ""}).audit_dir is None


def test_a_secret_may_be_given_directly() -> None:
    """And is readable only on purpose."""
    key = load_settings({"MODEL_SIGNING_KEY": KEY}).model_signing_key
    assert key is not None
    assert key.get_secret_value() == KEY


def test_a_secret_may_be_given_as_a_file(tmp_path: Path) -> None:
    """As orchestrators mount it; the line break that editors add does not count."""
    (tmp_path / "key").write_text(f"{KEY}\n")
    key = load_settings({"MODEL_SIGNING_KEY_FILE": str(tmp_path / "key")}).model_signing_key
    assert key is not None
    assert key.get_secret_value() == KEY


@pytest.mark.parametrize("secret", sorted(SECRETS))
def test_a_missing_secret_file_is_named(tmp_path: Path, secret: str) -> None:
    """With its path, the cause, and what to do."""
    variable, path = f"{secret.upper()}_FILE", tmp_path / "absent"
    expected = f"{variable}: cannot read {path}: No such file or directory; mount it or unset it"
    assert problems({variable: str(path)}) == (expected,)


def test_a_folder_in_place_of_a_secret_file_is_named(tmp_path: Path) -> None:
    """A volume mounted one level too high."""
    (problem,) = problems({"MODEL_SIGNING_KEY_FILE": str(tmp_path)})
    assert problem.startswith(f"MODEL_SIGNING_KEY_FILE: cannot read {tmp_path}: Is a directory")


def test_a_secret_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    """Random bytes make a fine key, but not an environment's: the variable is named, no traceback shown."""
    (tmp_path / "key").write_bytes(bytes(range(128, 256)))
    (problem,) = problems({"MODEL_SIGNING_KEY_FILE": str(tmp_path / "key")})
    assert problem.startswith("MODEL_SIGNING_KEY_FILE: ")
    assert str(tmp_path / "key") in problem


@pytest.mark.parametrize("content", [pytest.param("", id="empty"), pytest.param(" \n", id="white space")])
def test_a_secret_file_without_a_secret_is_named(tmp_path: Path, content: str) -> None:
    """A key that was mounted empty must not switch the protection off that somebody asked for."""
    (tmp_path / "key").write_text(content)
    (problem,) = problems({"MODEL_SIGNING_KEY_FILE": str(tmp_path / "key")})
    assert problem.startswith("MODEL_SIGNING_KEY_FILE: ")


@pytest.mark.parametrize("as_file", [pytest.param(False, id="directly"), pytest.param(True, id="as a file")])
def test_a_secret_is_never_shown(tmp_path: Path, as_file: bool) -> None:
    """Neither in an error about something else nor where settings are printed."""
    (tmp_path / "key").write_text(KEY)
    given = {"MODEL_SIGNING_KEY_FILE": str(tmp_path / "key")} if as_file else {"MODEL_SIGNING_KEY": KEY}
    assert KEY not in " ".join(problems({**given, "PORT": "x"}))
    settings = load_settings(given)
    assert settings.model_signing_key is not None
    assert KEY not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_settings_cannot_be_changed() -> None:
    """What was validated at the start holds to the end."""
    settings = load_settings({})
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1  # type: ignore[misc]


def test_an_unknown_setting_is_refused() -> None:
    """A misspelt keyword in code must not be passed over."""
    with pytest.raises(ValidationError, match="prot"):
        Settings(prot=1)  # type: ignore[call-arg]


def test_every_setting_says_what_it_is_for() -> None:
    """The README's table is made of these."""
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_there_is_a_worker_for_every_cpu_that_may_be_used() -> None:
    """At least one, and never more than the process may run on."""
    assert 1 <= available_cpus() <= len(os.sched_getaffinity(0))
    assert load_settings({}).web_concurrency == available_cpus()


def test_no_two_services_share_a_scratch_folder() -> None:
    """On one machine, or in containers that count processes alike."""
    assert len({load_settings({}).runtime_dir for _ in range(20)}) == 20
