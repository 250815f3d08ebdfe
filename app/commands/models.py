"""`flask models`: what is registered, what is active, and how to change it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from app.commands.activate import activate_command
from app.commands.export import export_command
from app.commands.output import as_json, named_or_active, print_json, reported
from app.commands.register import register_command
from app.commands.trials import Trials
from app.contract.schema import FeatureSchema
from app.errors import BundleError
from app.model.manifest import MANIFEST_FILE, Manifest
from app.model.registry import Registry


def models_group(schema: FeatureSchema, registry: Registry, trials: Trials) -> click.Group:
    """`flask models list|show|register|export|verify|sign|activate|rollback`."""

    @click.group("models", help="List, register, export, verify, sign, activate and roll back model versions.")
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
        manifest = registry.manifest(named_or_active(registry, version))
        if json:
            history = [msgspec.to_builtins(entry) for entry in registry.history()]
            print_json({"manifest": msgspec.to_builtins(manifest), "history": history})
            return
        click.echo("\n".join(_described(manifest)))
        for entry in registry.history():
            gate = f"  gate {entry.gate}" if entry.gate else ""
            click.echo(f"history      {entry.at}  {entry.action:9} {entry.version}{gate}")

    @models.command(help="Check a version (default: the active one) as the service would, and for stray files.")
    @click.argument("version", required=False)
    @as_json
    @reported
    def verify(version: str | None, json: bool) -> None:
        manifest = registry.verify(named_or_active(registry, version))
        if json:
            print_json({"version": manifest.version, "verified": True, "files": sorted(manifest.files)})
        else:
            click.echo(f"{manifest.version}: {len(manifest.files)} files verified, golden rows reproduced")

    @models.command(short_help="Sign versions with another key.")
    @click.argument("versions", metavar="[VERSION]...", nargs=-1)
    @click.option("--new-key-file", required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path),
                  help="File that holds the key to sign with.")  # fmt: skip
    @as_json
    @reported
    def sign(versions: tuple[str, ...], new_key_file: Path, json: bool) -> None:
        """Sign versions (default: all) with the key in a file, once all have passed with MODEL_SIGNING_KEY.

        Without MODEL_SIGNING_KEY their hashes alone are checked: you vouch for whatever manifest lies there. A service
        that has the old key refuses what is signed with the new one, so sign a copy of the registry.
        """
        key = new_key_file.read_bytes().strip()
        if not key:
            raise click.UsageError(f"{new_key_file} is empty")
        signed = versions or tuple(registry.versions())
        registry.sign(signed, key)
        if json:
            print_json({"signed": list(signed)})
        else:
            click.echo(f"signed {', '.join(signed) or 'nothing'}")

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

    models.add_command(register_command(schema, registry))
    models.add_command(export_command(schema, registry))
    models.add_command(activate_command(registry, trials))
    return models


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
