"""`flask readiness`: the production-readiness checklist, looked at instead of ticked."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from app.commands.output import as_json, print_json, reported, write_page
from app.contract.schema import FeatureSchema
from app.errors import DataError
from app.model.registry import Registry
from app.readiness.slo import EXAMPLE
from app.settings import Settings

if TYPE_CHECKING:
    from app.readiness.results import Finding, Readiness

# app.readiness is imported inside the functions: every `flask` command imports this module.


def readiness_command(settings: Settings, schema: FeatureSchema, registry: Registry) -> click.Command:
    """`flask readiness` of the service that these settings describe."""

    @click.command("readiness", short_help="Check what production asks for, and say what was seen.")
    @click.option("--url", help="The running service. Default: an instance that is started here for the while.")
    @click.option("--drill", is_flag=True, help="Also break, roll back and load an instance of its own.")
    @click.option("--slo", default=EXAMPLE, show_default=True, help="What the drill's load must meet.")
    @click.option("--min", "least", type=click.IntRange(0, 100), default=80, show_default=True,
                  help="Exit status 1 below this score.")  # fmt: skip
    @click.option(
        "--checkout", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path(),
        show_default="the working directory", help="The source tree to look into.",
    )  # fmt: skip
    @click.option("--html", type=click.Path(), help="Write one self-contained page there instead; - is stdout.")
    @as_json
    @reported
    @click.pass_context
    def readiness(
        ctx: click.Context, /, url: str | None, drill: bool, slo: str, least: int, checkout: Path, html: str | None,
        json: bool,
    ) -> None:  # fmt: skip
        """Check the running service, the model it serves and the source tree, item by item, and say what was seen.

        Give it the service's own environment: its registry, contract and audit are looked into. It sends the service
        some dozen requests, valid and invalid, whose ids begin with readiness-. Only --drill breaks anything, and never
        the service at --url, which is sent the key in API_KEY, if there is one.
        """
        if html is not None and json:
            raise click.UsageError("--html does not go with --json")
        if html is not None and not Path(html).absolute().parent.is_dir():  # better known before the drills
            raise DataError(html, "cannot be written: there is no such folder")
        from app.readiness.run import ReadinessAudit, Request
        from app.readiness.slo import Slo

        _leave_in_order()
        request = Request(checkout.resolve(), url, os.environ.get("API_KEY"), drill, Slo.parse(slo))
        quiet = json or html is not None
        found = ReadinessAudit(settings, schema, registry).run(request, _unheard if quiet else _Lines())
        _show(found, html, json)
        if found.score < least:
            ctx.exit(1)

    return readiness


class _Lines:
    """Prints each item as soon as it is known."""

    def __init__(self) -> None:
        self._section = ""

    def __call__(self, finding: Finding) -> None:
        from app.readiness.text import finding_lines

        if finding.section != self._section:
            click.echo(f"{'' if not self._section else chr(10)}{finding.section}")
            self._section = finding.section
        click.echo("\n".join(finding_lines(finding)))


def _leave_in_order() -> None:
    """Whoever is told to go, or whose terminal is gone, ends first what it started."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` means to go on
            signal.signal(number, lambda number, frame: sys.exit(128 + number))


def _unheard(finding: Finding) -> None:
    pass


def _show(found: Readiness, html: str | None, json: bool) -> None:
    from app.readiness.page import render_page
    from app.readiness.text import summary_lines

    if json:
        print_json(msgspec.to_builtins(found))
    elif html is not None:
        write_page(render_page(found), html)
        click.echo("\n".join(summary_lines(found)), err=True)
    else:
        click.echo("\n" + "\n".join(summary_lines(found)))
