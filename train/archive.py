"""Archives: estimates and spectra as partitioned Parquet, on this machine's processors or a Dask cluster.

An archive is a folder of `part-000000.parquet` ... and `_archive.json`, which says what made it. A part is one batch of
files (`edge/jobs.py`), answered as `stibium predict` answers them, and is written whole by whoever answered it; a run
that was stopped does only the parts that are missing. DuckDB, pandas, Polars and Dask read the folder as one table.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..converters.spectra.files import write_whole
from ..converters.spectra.spectrum import Position, Spectrum
from ..edge.jobs import Batch, Task, answer, batches, told_from_others
from ..edge.log.columns import StoredModel
from ..edge.log.records import record_of
from ..edge.model.bundle import read_bundle
from ..edge.record import FLAT_NAMES, SCHEMA, EstimateRecord, ReadingRecord, as_rows
from ..edge.seen import Seen
from ..edge.workers import OneProcess, Workers
from .errors import ArchiveError

ABOUT = "_archive.json"
_LEFT_OUT = ("stored_at", "estimated_at", "reading", "session")
"""What only the log knows, and when it was computed: the same archive gives the same parts."""


@dataclass(frozen=True)
class Counted:
    """What came of an archive.

    Attributes:
        parts, done_before: parts in all, and those that were there already.
        estimated, refused: readings.
    """

    parts: int
    done_before: int
    estimated: int
    refused: int


def part_name(number: int) -> str:
    """Name a part."""
    return f"part-{number:06d}.parquet"


def archive(
    paths: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    task: Task,
    workers: Workers | None = None,
    show: Callable[[int, int], None] = lambda done, of: None,
) -> Counted:
    """Estimate every spectrum of files and folders into partitioned Parquet.

    Args:
        paths: files and folders.
        out: folder of the archive; parts that are there already are kept.
        task: models and how spectra are treated.
        workers: who does it; None for this process.
        show: called with the number of parts done and of all.

    Returns:
        What came of it. What is refused has a row with its reason.

    Raises:
        ArchiveError: a path is not there, or the folder holds another archive; nothing was written.
        BundleError: a model cannot be loaded.
    """
    folder = Path(out)
    for path in paths:
        # An archive of what was mistyped would stand in the way of the right one.
        if not os.path.lexists(path):
            raise ArchiveError(f"{os.fspath(path)}: no such file or folder; nothing was written")
    all_batches = list(batches(paths, task.average))
    if all_batches:
        _begin(folder, task, all_batches)
    missing = [batch for batch in all_batches if not (folder / part_name(batch.number)).is_file()]
    done_before = len(all_batches) - len(missing)
    counted = [_count(folder / part_name(batch.number)) for batch in all_batches if batch not in missing]
    write = Part(task, os.fspath(folder.resolve()))
    run = (workers or OneProcess())(write, missing, in_order=False)
    for number, one in enumerate(run, done_before + 1):
        counted.append(one)
        show(number, len(all_batches))
    return Counted(len(all_batches), done_before, sum(a for a, _ in counted), sum(b for _, b in counted))


@dataclass(frozen=True)
class Part:
    """Answers a batch and writes its part; small, so that it travels to any worker."""

    task: Task
    folder: str

    def __call__(self, batch: Batch) -> tuple[int, int]:
        """Return how many readings were estimated and refused."""
        seen, model = Seen(), _stored(self.task.models[0])
        results = [told_from_others(result, seen) for result in answer(self.task, batch)]
        records = [record_of(result, model) for result in results]
        estimated = sum(bool(record.estimates) for record in records)
        counts = estimated, len(records) - estimated
        rows = [{name: row[name] for name in COLUMNS} for record in records for row in as_rows(record)]
        _write(Path(self.folder) / part_name(batch.number), rows, counts)
        return counts


_KNOWN: dict[str, StoredModel] = {}


def _stored(path: str) -> StoredModel:
    if path not in _KNOWN:
        bundle = read_bundle(path)
        _KNOWN[path] = StoredModel(bundle.sha256, bundle.name, *bundle.calibrated_range)
    return _KNOWN[path]


COLUMNS = tuple(name for name in FLAT_NAMES if name not in _LEFT_OUT)


def schema() -> pa.Schema:
    """Give the columns of an archive with their types; names are those of a flat record (docs/records.md)."""
    known = {"schema": str, **get_type_hints(EstimateRecord), **get_type_hints(ReadingRecord)}
    return pa.schema([(name, _type_of(known[name])) for name in COLUMNS], metadata={"stibium": SCHEMA})


def _type_of(hint: Any) -> pa.DataType:
    """Tell a column's type by what a record says of the field; lists and texts are texts."""
    kinds = {kind for kind in (get_args(hint) or (hint,)) if isinstance(kind, type)}
    for kind, column in ((bool, pa.bool_()), (int, pa.int64()), (float, pa.float64())):
        if kind in kinds:
            return column
    return pa.string()


def _write(path: Path, rows: list[dict[str, Any]], counts: tuple[int, int]) -> None:
    # Readings, each of which has a row for each element.
    about = {"stibium": SCHEMA, "estimated": str(counts[0]), "refused": str(counts[1])}
    of_part = schema().with_metadata(about)
    table = pa.Table.from_pylist(rows, schema=of_part)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_whole(path, sink.getvalue().to_pybytes())


def _count(path: Path) -> tuple[int, int]:
    said = pq.read_schema(path).metadata or {}
    if b"estimated" in said:
        return int(said[b"estimated"]), int(said[b"refused"])
    # A part from before parts said so.
    statuses = pq.read_table(path, columns=["status"])["status"].to_pylist()
    return statuses.count("estimated"), statuses.count("refused")


def _begin(folder: Path, task: Task, all_batches: Sequence[Batch]) -> None:
    """Make the folder, or see that what is there is the beginning of the same archive."""
    files = hashlib.sha256()
    for batch in all_batches:
        for file in batch.files:
            files.update(f"{batch.number} {file}\n".encode("utf-8", "surrogateescape"))
    models = [read_bundle(path).sha256 for path in task.models]
    about = {
        "format": "stibium archive",
        "version": 1,
        "schema": SCHEMA,
        "models": models,
        "average": task.average,
        "gates": task.gates,
        "condition": task.condition,
        # None as in archives from before it could be asked for.
        "stability": task.stability or None,
        "parts": len(all_batches),
        "files_sha256": files.hexdigest(),
    }
    path = folder / ABOUT
    if path.is_file():
        try:
            known = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise ArchiveError(f"{path}: is damaged ({error}); name another folder") from error
        other = sorted(name for name, value in about.items() if known.get(name) != value)
        if other:
            raise ArchiveError(f"{folder}: holds an archive of another run ({', '.join(other)}); name another folder")
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise ArchiveError(f"{folder}: holds other files; name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(about, indent=1).encode())


def write_spectra(out: str | os.PathLike[str], spectra: Iterable[Spectrum], per_part: int = 1000) -> int:
    """Write spectra as partitioned Parquet, `per_part` to a part, those of one grid together.

    Args:
        out: folder, new or empty.
        spectra: in order; a part ends where the grid of wavelengths changes.
        per_part: spectra in a part.

    Returns:
        How many were written.

    Raises:
        ArchiveError: the folder holds files.
    """
    folder = Path(out)
    if folder.is_dir() and any(folder.iterdir()):
        raise ArchiveError(f"{folder}: holds other files; name a new folder")
    folder.mkdir(parents=True, exist_ok=True)
    count = part = 0
    held: list[Spectrum] = []

    def flush() -> None:
        nonlocal part
        if held:
            _write_spectra(folder / part_name(part), held)
            part += 1
            held.clear()

    for spectrum in spectra:
        if held and (len(held) == per_part or not same_grid(held[0], spectrum)):
            flush()
        held.append(spectrum)
        count += 1
    flush()
    return count


def same_grid(a: Spectrum, b: Spectrum) -> bool:
    """Say whether two spectra stand on the same wavelengths."""
    return a.wavelengths_nm.size == b.wavelengths_nm.size and bool((a.wavelengths_nm == b.wavelengths_nm).all())


def read_spectra(folder: str | os.PathLike[str]) -> Iterator[Spectrum]:
    """Read what `write_spectra` wrote, in its order.

    Raises:
        ArchiveError: no such folder, or a part that is something else.
    """
    parts = sorted(Path(folder).glob("part-*.parquet"))
    if not parts:
        raise ArchiveError(
            f"{os.fspath(folder)}: holds no part-000000.parquet; name a folder that convert --to parquet wrote"
        )
    for path in parts:
        try:
            table = pq.read_table(path)
            about = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
            nm = np.array(json.loads(about["wavelengths_nm"]))
        except (OSError, KeyError, ValueError, pa.ArrowException) as error:
            raise ArchiveError(f"{path}: is damaged, or no part of spectra ({error}); convert again") from error
        for row in table.to_pylist():
            at = row["latitude_deg"], row["longitude_deg"]
            yield Spectrum(
                wavelengths_nm=nm,
                values=np.array(row["values"]),
                measured_at=datetime.fromisoformat(row["measured_at"]) if row["measured_at"] else None,
                position=Position(*at, row["altitude_m"]) if None not in at else None,
                splices_nm=tuple(row["splices_nm"]),
                saturated=tuple(row["saturated"]),
                extra=json.loads(row["extra"]),
                **{name: row[name] for name in _AS_THEY_ARE},
            )


_OTHERWISE = ("wavelengths_nm", "values", "measured_at", "position", "splices_nm", "saturated", "extra")
_AS_THEY_ARE = tuple(field.name for field in fields(Spectrum) if field.name not in _OTHERWISE)
"""Texts and truths, which a column holds as they are."""


def _write_spectra(path: Path, spectra: Sequence[Spectrum]) -> None:
    place = [spectrum.position for spectrum in spectra]
    columns: dict[str, Any] = {
        **{name: [getattr(s, name) for s in spectra] for name in _AS_THEY_ARE},
        "measured_at": [s.measured_at.isoformat() if s.measured_at else None for s in spectra],
        "latitude_deg": pa.array([p.latitude_deg if p else None for p in place], pa.float64()),
        "longitude_deg": pa.array([p.longitude_deg if p else None for p in place], pa.float64()),
        "altitude_m": pa.array([p.altitude_m if p else None for p in place], pa.float64()),
        "splices_nm": pa.array([list(s.splices_nm) for s in spectra], pa.list_(pa.float64())),
        "saturated": pa.array([list(s.saturated) for s in spectra], pa.list_(pa.string())),
        "extra": [json.dumps(s.extra, default=str, ensure_ascii=False) for s in spectra],
        "values": pa.array([s.values for s in spectra], pa.list_(pa.float64())),
    }
    nm = json.dumps(spectra[0].wavelengths_nm.tolist())
    table = pa.table(columns).replace_schema_metadata({"stibium": "stibium spectra parquet 1", "wavelengths_nm": nm})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    write_whole(path, sink.getvalue().to_pybytes())
