"""What all commands share: `--json`, and errors that are one clear line and exit status 1."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import click
import msgspec

from app.errors import ServiceError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def reported(command: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Turns this package's own errors into one line on stderr and exit status 1."""

    @functools.wraps(command)
    def wrapper(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return command(*args, **kwargs)
        except ServiceError as error:
            raise click.ClickException(str(error)) from error

    return wrapper


def as_json(command: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Adds the flag `--json`."""
    return click.option("--json", is_flag=True, help="Print one JSON document.")(command)


def print_json(document: Mapping[str, Any]) -> None:
    """One JSON document on stdout, indented for eyes and parsable all the same."""
    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
