"""A scoring from pattern to summary: what is done already stays, the rest is scored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tqdm import tqdm

from app.contract.schema import FeatureSchema
from app.errors import RegistryError, ScoringError
from app.model.registry import Registry
from app.scoring.bulk import Model, digest_of, scorer_of
from app.scoring.engines import engine
from app.scoring.job import RESERVED, Job
from app.scoring.output import Output
from app.scoring.plan import BLOCK_ROWS, FORMAT, PARTITION_ROWS, Format, Partition, Plan
from app.scoring.results import Summary, Totals
from app.scoring.sources import SourceFile, find_sources
from app.scoring.storage import Storage, storage_of
from app.serving.chain import Rule


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for."""

    input: str
    output: str
    version: str | None = None
    output_format: Format = "parquet"
    keep: tuple[str, ...] = ()
    partition_rows: int = PARTITION_ROWS
    workers: int = 1
    scheduler: str | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class FileScorer:
    """Scores files with the versions of `registry`."""

    schema: FeatureSchema
    registry: Registry
    rule: Rule

    def score(self, request: Request) -> Summary:
        """Scores what is not scored yet. Raises `ServiceError`; the same request then goes on from there."""
        try:
            return self._score(request)
        except OSError as error:
            raise ScoringError(f"{error.filename or request.output}: {error.strerror or error}") from None

    def _score(self, request: Request) -> Summary:
        model = self._model(request.version)
        scorer = scorer_of(model)
        storage = storage_of(request.input)
        plan = self._plan(request, model, storage)
        output = Output(request.output)
        output.begin(plan, overwrite=request.overwrite)
        job = Job(model, scorer.stages, tuple(plan.keep), request.output, request.output_format)
        done, totals = output.receipts(), Totals()
        with (
            tqdm(
                total=sum(source.size for source in plan.sources),
                unit="B", unit_scale=True, desc="scoring", delay=1, leave=False,
            ) as bar,
            engine(request.workers, request.scheduler) as run,
        ):  # fmt: skip

            def left() -> Iterator[Partition]:
                for partition in _partitions(plan, storage, self.schema):
                    if partition.name in done:
                        totals.add(output.receipt(partition))
                        bar.update(partition.weight)
                    else:
                        yield partition

            for partition, receipt in run(job, left()):
                totals.add(receipt)
                bar.update(partition.weight)
                bar.set_postfix_str(f"{totals.rows:,} rows", refresh=False)
        summary = totals.summary(output.path, model.version, len(plan.sources), len(done), dict(scorer.chain.absent))
        output.finish(summary)
        return summary

    def _model(self, named: str | None) -> Model:
        version = named or self.registry.active()
        if version is None:
            raise RegistryError("no version is active; name one with --version")
        self.registry.manifest(version)  # its signature; from here on the digest vouches for it
        folder = self.registry.folder.resolve()
        return Model(type(self.schema), self.rule, folder, version, digest_of(folder, version))

    def _plan(self, request: Request, model: Model, storage: Storage) -> Plan:
        keep = tuple(dict.fromkeys(request.keep))
        for name in keep:
            if name in RESERVED:
                raise ScoringError(f"--keep {name}: the results have a column of that name")
        sources = tuple(find_sources(request.input, storage))
        for source in sources:
            SourceFile(source, storage, self.schema, keep).check()
        blocks = -(-request.partition_rows // BLOCK_ROWS)
        return Plan(
            FORMAT, model.version, model.digest, self.schema.names, keep, request.output_format,
            blocks * BLOCK_ROWS, sources,
        )  # fmt: skip


def _partitions(plan: Plan, storage: Storage, schema: FeatureSchema) -> Iterator[Partition]:
    for file, source in enumerate(plan.sources):
        yield from SourceFile(source, storage, schema, plan.keep).partitions(file, plan.partition_rows)
