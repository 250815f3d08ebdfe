"""What all commands share: `--json`, files written whole or not at all, errors that are one line and exit status 1."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ParamSpec, TypeVar

import click
import msgspec

from app.errors import DataError, RegistryError, ServiceError

if TYPE_CHECKING:
    from app.model.registry import Registry

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

STDOUT = "-"


class Share(click.ParamType[float]):
    """`1%` as 0.01. The sign is required: a bare 1 could mean either."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / 100
        except ValueError:
            share = math.nan
        if not text.endswith("%") or not 0 <= share <= 1:
            self.fail(f"{text!r} is no share; write one from 0% to 100%, such as 0.5%", param, ctx)
        return share


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


def named_or_active(registry: Registry, version: str | None) -> str:
    """The version somebody named, or the active one. Raises `RegistryError`."""
    found = version or registry.active()
    if found is None:
        raise RegistryError("no version is active; name one")
    return found


def write_page(page: str, output: str) -> None:
    """An HTML page into a file, whole or not at all, or to stdout. Raises `DataError`."""
    try:
        with destination(output) as file:
            file.write(page.encode())
    except OSError as error:
        raise DataError(output, f"cannot be written: {error.strerror or error}") from error


@contextmanager
def destination(output: str) -> Iterator[IO[bytes]]:
    """A file that appears under its name only when all has been written, or a stream."""
    path = Path(output).resolve()
    if output == STDOUT:
        with click.open_file(STDOUT, "wb") as file:
            yield file
    elif path.exists() and not path.is_file():  # a pipe or a device: writing to it is all that can be done
        with path.open("wb") as file:
            yield file
    else:
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with draft.open("wb") as file:
                yield file
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
