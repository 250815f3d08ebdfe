"""`flask models`: what is registered, what is active, and how to change it."""

from __future__ import annotations

import math
import shlex
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from app.commands.activate import activate_command
from app.commands.output import as_json, print_json, reported
from app.commands.trials import Trials
from app.contract.schema import FeatureSchema
from app.errors import BundleError, RegistryError
from app.model.manifest import MANIFEST_FILE, Manifest
from app.model.registration import draft_from_files
from app.model.registry import Registry


class _Probability(click.FloatRange):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        return self.fail(f"{value} is no number", param, ctx) if math.isnan(number) else number


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def models_group(schema: FeatureSchema, registry: Registry, trials: Trials) -> click.Group:
    """`flask models list|show|register|verify|activate|rollback`."""

    @click.group("models", help="List, register, verify, activate and roll back model versions.")
    def models() -> None:
        pass

    @models.command("list", help="All versions, oldest first; the active one is marked.")
    @as_json
    @reported
    def list_(json: bool) -> None:
        active = registry.active()
        rows = [_listed(registry, version, active) for version in registry.versions()]
        if json:
            print_json({"active": active, "versions": rows})
            return
        for row in rows:
            click.echo(f"{'*' if row['active'] else ' '} {row['version']}  {row['summary']}")
        if not rows:
            click.echo(f"no versions in {registry.folder}; make one with 'flask train' or 'flask models register'")

    @models.command(help="One version's manifest (default: the active one) and the registry's history.")
    @click.argument("version", required=False)
    @as_json
    @reported
    def show(version: str | None, json: bool) -> None:
        manifest = registry.manifest(_or_active(registry, version))
        if json:
            history = [msgspec.to_builtins(entry) for entry in registry.history()]
            print_json({"manifest": msgspec.to_builtins(manifest), "history": history})
            return
        click.echo("\n".join(_described(manifest)))
        for entry in registry.history():
            gate = f"  gate {entry.gate}" if entry.gate else ""
            click.echo(f"history      {entry.at}  {entry.action:9} {entry.version}{gate}")

    @models.command(help="Add a version made of joblib files; golden rows and reference come from a CSV sample.")
    @click.option("--primary", type=_FILE, required=True, help="Main estimator, a joblib file.")
    @click.option("--fallback", type=_FILE, help="Simpler, faster estimator, a joblib file.")
    @click.option("--golden", type=_FILE, required=True, help="CSV of valid rows, one column per feature.")
    @click.option("--threshold", type=_Probability(0, 1), help="Score from which a reading is an anomaly.")
    @click.option("--activate", is_flag=True, help="Serve it at once.")
    @as_json
    @reported
    def register(
        primary: Path, fallback: Path | None, golden: Path, threshold: float | None, activate: bool, json: bool
    ) -> None:
        files = {"primary": primary, **({"fallback": fallback} if fallback else {})}
        command = shlex.join(["flask", *sys.argv[1:]])
        version = registry.register(draft_from_files(files, golden, schema, threshold, command))
        activated = activate or registry.active() is None
        if activated:
            registry.activate(version)
        if json:
            print_json({"version": version, "active": activated})
        else:
            click.echo(f"registered {version}" + (", now active" if activated else ""))

    @models.command(help="Check a version (default: the active one) as the service would, and for stray files.")
    @click.argument("version", required=False)
    @as_json
    @reported
    def verify(version: str | None, json: bool) -> None:
        manifest = registry.verify(_or_active(registry, version))
        if json:
            print_json({"version": manifest.version, "verified": True, "files": sorted(manifest.files)})
        else:
            click.echo(f"{manifest.version}: {len(manifest.files)} files verified, golden rows reproduced")

    @models.command(help="Go back to the version that was active before this one.")
    @as_json
    @reported
    def rollback(json: bool) -> None:
        left = registry.active()
        version = registry.rollback()
        if json:
            print_json({"active": version, "previous": left})
        else:
            click.echo(f"{version} is active again (left: {left})")

    models.add_command(activate_command(registry, trials))
    return models


def _or_active(registry: Registry, version: str | None) -> str:
    found = version or registry.active()
    if found is None:
        raise RegistryError("no version is active; name one")
    return found


def _listed(registry: Registry, version: str, active: str | None) -> dict[str, Any]:
    try:
        manifest = registry.manifest(version)
    except BundleError as error:  # the others must still be seen
        return {"version": version, "active": version == active, "created": None, "summary": f"unreadable: {error}"}
    primary = manifest.metrics.get("primary", {})
    figures = ", ".join(f"{name} {primary[name]:.3f}" for name in ("accuracy", "f1") if name in primary)
    return {
        "version": version,
        "active": version == active,
        "created": manifest.created,
        "summary": f"{manifest.created}  {'+'.join(manifest.stages)}  {figures or manifest.training.data}",
    }


def _described(manifest: Manifest) -> list[str]:
    lines = [
        f"version      {manifest.version}",
        f"created      {manifest.created}",
        f"command      {manifest.training.command}",
        f"data         {manifest.training.data}",
        f"data digest  {manifest.training.data_digest}",
        f"environment  {', '.join(f'{name} {number}' for name, number in manifest.environment.items())}",
    ]
    for stage, entry in manifest.stages.items():
        lines.append(f"{stage:12} {entry.file}, anomaly from {entry.threshold:.4g}")
    for stage, figures in manifest.metrics.items():
        lines.append(f"{stage:12} " + ", ".join(f"{name} {value:.4g}" for name, value in figures.items()))
    lines.append(f"files        {', '.join([MANIFEST_FILE, *manifest.files])}")
    return lines
