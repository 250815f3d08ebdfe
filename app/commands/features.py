"""`flask features`: from raw history to the rows that `/predict` takes, computed exactly as training does."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import click
import msgspec

from app.commands.output import STDOUT, as_json, destination, print_json, reported
from app.commands.train import refuse_other_contract
from app.contract.schema import FeatureSchema, Matrix
from app.errors import DataError

_CHUNK = 5_000


def features_command(schema: FeatureSchema) -> click.Command:
    """`flask features` for the contract `schema`."""

    @click.command("features", short_help="Compute contract rows from raw history.")
    @click.option("--data", type=click.Path(path_type=Path), required=True,
                  help="Your history: metrics.csv, .csv.gz or .parquet with timestamp, region_id, product_id, "
                  "metric_value.")  # fmt: skip
    @click.option("--output", required=True, help="Where the rows go, one JSON object a line; - is stdout.")
    @as_json
    @reported
    def features(data: Path, output: str, json: bool) -> None:
        """Write one contract row per reading, in the order of the history.

        Each row uses its own reading and earlier ones only, so the last row of a series is what to POST to /predict.
        Readings without a value are left out, and a notice says which.
        """
        refuse_other_contract(schema)
        # pandas is imported here: every `flask` command imports this module.
        from app.training.features import build_features
        from app.training.history import read_history

        history = read_history(data, schema)
        rows = build_features(history.frame, schema)
        try:
            with destination(output) as file:
                _write_rows(file, rows, schema)
        except OSError as error:
            raise DataError(output, f"cannot be written: {error.strerror or error}") from error
        for notice in history.notices:
            click.echo(f"{data}: {notice}", err=True)
        if json and output != STDOUT:
            print_json({"rows": len(rows), "output": output, "notices": history.notices})
        else:
            click.echo(f"{len(rows):,} rows written to {output}", err=True)

    return features


def _write_rows(file: IO[bytes], rows: Matrix, schema: FeatureSchema) -> None:
    from tqdm import tqdm

    encode = msgspec.json.Encoder().encode
    with tqdm(total=len(rows), unit="row", desc="writing") as bar:
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK].tolist()
            file.write(b"".join(encode(dict(zip(schema.names, row, strict=True))) + b"\n" for row in chunk))
            bar.update(len(chunk))
