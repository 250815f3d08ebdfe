"""`flask models activate`: at once, or through the gate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from click.core import ParameterSource

from app.commands.output import Share, as_json, print_json, reported
from app.commands.trials import Trials, Window
from app.errors import GateRefusedError
from app.model.registry import Registry

if TYPE_CHECKING:
    from app.replay.gate import Verdict

_FORCE = "Activate it all the same with --force."
_NEVER = "--force does not help: it is not the model that was registered."


def activate_command(registry: Registry, trials: Trials) -> click.Command:
    """`flask models activate` on `registry`."""

    @click.command("activate", short_help="Verify a version, then make it the one that is served.")
    @click.argument("version")
    @click.option("--gate", is_flag=True, help="Refuse a version that fails on audited traffic, as below.")
    @click.option("--since", default="24h", show_default=True, help="The traffic to judge by, as in 'flask replay'.")
    @click.option("--audit", type=click.Path(path_type=Path), help="Folder of the audit files (default: AUDIT_DIR).")
    @click.option("--max-changed", type=Share(), default="1%", show_default=True, help="Most decisions changed.")
    @click.option("--max-accuracy-drop", type=Share(), default="0.5%", show_default=True,
                  help="Most accuracy lost on rows with feedback, in points.")  # fmt: skip
    @click.option("--min-rows", type=click.IntRange(1), default=1000, show_default=True, help="Fewest audited rows.")
    @click.option("--force", is_flag=True, help="Activate it whatever the gate says; the history records it.")
    @as_json
    @reported
    @click.pass_context
    def activate(
        ctx: click.Context, /, version: str, gate: bool, since: str, audit: Path | None, force: bool, json: bool,
        **limits: Any,
    ) -> None:  # fmt: skip
        """Verify a version, then make it the one that is served; workers follow within seconds.

        With --gate it must first reproduce its golden rows, score every audited row, change few decisions, lose no
        accuracy where there is feedback, and answer one row and the largest batch (MAX_BATCH_ROWS) within
        PRIMARY_DEADLINE_MS, measured here and now. Else nothing changes, and each failed criterion is named.
        """
        if not gate:
            _refuse_options_of_the_gate(ctx)
            _done(version, registry.activate(version), json)
            return
        verdict = trials.judge(version, Window(audit, since), **limits)
        failed = [f"{criterion.name}: {criterion.figures}" for criterion in verdict.failed]
        passes = not failed or (force and verdict.sound)
        previous = registry.activate(version, "forced" if failed else "passed", failed) if passes else None
        _show(verdict, json, activated=passes, forced=passes and bool(failed), previous=previous)
        if not passes:
            raise GateRefusedError(version, failed, _FORCE if verdict.sound else _NEVER)

    return activate


def _refuse_options_of_the_gate(ctx: click.Context) -> None:
    for name in ("force", "since", "audit", "max_changed", "max_accuracy_drop", "min_rows"):
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"--{name.replace('_', '-')} goes with --gate")


def _done(version: str, previous: str | None, json: bool) -> None:
    if json:
        print_json({"active": version, "previous": previous})
    else:
        click.echo(f"{version} is active (before: {previous or 'none'})")


def _show(verdict: Verdict, json: bool, *, activated: bool, forced: bool, previous: str | None) -> None:
    if json:
        judged = msgspec.to_builtins(verdict)
        result = {"active": verdict.version, "previous": previous} if activated else {}
        print_json({**result, "activated": activated, "forced": forced, "gate": judged})
        return
    width = max(len(criterion.name) for criterion in verdict.criteria)
    for criterion in verdict.criteria:
        click.echo(f"{'passed' if criterion.passed else 'FAILED'}  {criterion.name:{width}}  {criterion.figures}")
    if activated:
        _done(verdict.version, previous, json)
