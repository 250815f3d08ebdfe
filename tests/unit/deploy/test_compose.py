"""`docker compose up`: whatever it mounts, starts or asks exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import load_settings

ROOT = Path(__file__).parents[3]
COMPOSE: Any = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = SERVICES["anomaly-service"]
services = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES.keys())


@services
def test_whatever_is_mounted_exists(service: dict[str, Any]) -> None:
    """A file that is not there would become an empty folder."""
    for mount in service["volumes"]:
        source, _, rest = mount.partition(":")
        if source.startswith("."):
            assert (ROOT / source).exists()
            assert rest.endswith(":ro")
        else:
            assert source in COMPOSE["volumes"]


@services
def test_every_image_has_a_version(service: dict[str, Any]) -> None:
    """Tomorrow's `latest` is tried by nobody; our own is built here."""
    assert "build" in service or re.search(r":v?\d+\.\d+\.\d+$", service["image"])


@services
def test_every_configuration_named_by_a_command_exists(service: dict[str, Any]) -> None:
    """In the folder as it is mounted."""
    named = [part.partition("=")[2] for part in service.get("command", []) if part.startswith("--config.file=")]
    assert all((ROOT / path.replace("/etc/deploy", "deploy").lstrip("/")).is_file() for path in named)


def test_prometheus_is_the_plain_one_but_for_addresses() -> None:
    """The same rules, intervals and job; the addresses are services of the file, on ports they have."""
    plain, composed = (
        yaml.safe_load((ROOT / "deploy" / name / "prometheus.yml").read_text()) for name in ("prometheus", "compose")
    )
    targets = [config.pop("static_configs") for config in composed["scrape_configs"]]
    targets += [config.pop("static_configs") for config in composed["alerting"]["alertmanagers"]]
    for config in [*plain["scrape_configs"], *plain["alerting"]["alertmanagers"]]:
        config.pop("static_configs")
    composed["rule_files"] = [name.removeprefix("../prometheus/") for name in composed["rule_files"]]
    assert composed == plain
    for host, port in (target.split(":") for group in targets for config in group for target in config["targets"]):
        assert any(str(mapping).endswith(f":{port}") for mapping in SERVICES[host]["ports"])


def test_grafana_finds_dashboard_and_prometheus() -> None:
    """At the places that its provisioning names."""
    grafana = SERVICES["grafana"]
    provisioning = ROOT / "deploy" / "grafana" / "provisioning"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "anomaly-service.yml").read_text())["providers"]
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert Path(home).parent == Path(provider["options"]["path"])
    assert f"./deploy/grafana/dashboard.json:{home}:ro" in grafana["volumes"]
    assert grafana["environment"]["PROMETHEUS_URL"] == "http://prometheus:9090"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["url"] == "${PROMETHEUS_URL}"


def test_the_service_runs_without_powers_and_leaves_in_time() -> None:
    """As in deploy/image-test.sh; and its settings are settings."""
    assert (OURS["read_only"], OURS["cap_drop"], OURS["security_opt"]) == (True, ["ALL"], ["no-new-privileges:true"])
    settings = load_settings(OURS["environment"])
    assert float(OURS["stop_grace_period"].removesuffix("s")) > settings.graceful_timeout_s
    assert set(OURS["environment"]) <= {name.upper() for name in type(settings).model_fields}
