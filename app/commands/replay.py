"""`flask replay`: what another version would have said to audited traffic."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from app.commands.output import as_json, print_json, reported
from app.commands.trials import Trials, Window


def replay_command(trials: Trials) -> click.Command:
    """`flask replay` on the versions of `trials`."""

    @click.command("replay", short_help="Show audited traffic to another version, beside the active one.")
    @click.option("--version", required=True, help="The candidate.")
    @click.option("--since", help="90m, 24h, 7d, 2026-11-20 or 2026-11-20T14:30 (UTC). Default: the oldest line.")
    @click.option("--until", help="The same; the moment itself does not belong to it. Default: the newest line.")
    @click.option("--audit", type=click.Path(path_type=Path), help="Folder of the audit files (default: AUDIT_DIR).")
    @click.option("--limit", type=click.IntRange(1), help="Stop after so many rows; the oldest files come first.")
    @as_json
    @reported
    def replay(
        version: str, since: str | None, until: str | None, audit: Path | None, limit: int | None, json: bool
    ) -> None:
        """Score the rows that were served with a candidate and, again, with the active version.

        Prints which decisions would be others, how far scores move, accuracy where there is feedback, and how long each
        takes. Nothing is changed.
        """
        found = trials.replay(version, Window(audit, since, until, limit))
        if json:
            print_json(msgspec.to_builtins(found))
        else:
            from app.replay.text import render_text

            click.echo(render_text(found))

    return replay
