"""`stibium select`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from ...edge.cli.output import Layout, Output, format_option
from .common import say

if TYPE_CHECKING:
    from ...converters.spectra.spectrum import Spectrum
    from ...edge.model.estimate import Refusal
    from ..selection import Selected


@click.command(
    epilog="Example:  stibium select --from-log stibium.db --assayed assays.csv --format csv > laboratory.csv"
)
@click.argument("spectra", nargs=-1, type=click.Path())
@click.option("--count", type=click.IntRange(min=1), default=30, show_default=True, help="How many samples to send.")
@click.option(
    "--from-log",
    type=click.Path(),
    metavar="LOG",
    help="Log of the device: what it measured and nobody assayed comes first.",
)
@click.option("--assayed", type=click.Path(), metavar="CSV", help="Assays that are known: none of these samples again.")
@click.option(
    "--spread",
    type=click.Choice(["spectra", "position"]),
    default="spectra",
    show_default=True,
    help="spectra: as unlike each other as can be (Kennard-Stone). position: spread over the ground as well.",
)
@format_option
@click.pass_context
def select(
    ctx: click.Context,
    spectra: tuple[str, ...],
    count: int,
    from_log: str | None,
    assayed: str | None,
    spread: str,
    out_format: str,
) -> None:
    """Choose which samples to send to the laboratory: few that say most.

    Each is as far as can be from those chosen before it and from those whose content is known. The list is in the order
    of what matters, so its first ten are the best ten. Exits with 1 if any spectrum was refused.
    """
    from ..selection import as_candidates
    from ..selection import select as choose

    if not spectra and from_log is None:
        raise click.UsageError("name files or folders of spectra, or a log with --from-log")
    known = _assayed(assayed) if assayed is not None else set()
    refused: list[Refusal] = []
    in_log = list(_usable(_of_log(from_log), refused)) if from_log is not None else []
    in_files = list(_usable(_of_files(spectra, assayed), refused))
    say([f"refused {r.source}: {r.reason}" for r in refused])
    candidates, of_known = as_candidates(in_files, in_log, known)
    chosen = choose(candidates, of_known, count, spread)  # type: ignore[arg-type]
    if assayed is not None and not of_known:
        say([f"none of the samples of {assayed} has a spectrum here: what is known already is not kept away from"])
    if len(chosen) < count:
        say([f"{len(chosen)} samples are all there are without an assay; {count} were wanted"])
    Output(out_format, LAYOUT).write(chosen)
    ctx.exit(1 if refused else 0)


def _assayed(path: str) -> set[str]:
    """Name the samples of which a table has a value of any element."""
    from ..assays.table import read_assay_table

    return {row.name for row in read_assay_table(path).of_kind("sample") if any(v is not None for v in row.values)}


def _of_files(paths: tuple[str, ...], assayed: str | None) -> Iterator[Spectrum | Refusal]:
    import os

    from ...converters.spectra.spectrum import Spectrum
    from ...edge.files import iter_spectra

    own = os.path.abspath(assayed) if assayed is not None else None
    return (i for i in iter_spectra(paths) if isinstance(i, Spectrum) or os.path.abspath(i.source) != own)


def _of_log(path: str) -> Iterator[Spectrum | Refusal]:
    from ...edge.log.read import open_for_reading
    from ...edge.log.spectra import iter_spectra

    with open_for_reading(path) as db:
        for _, item in iter_spectra(db):
            yield item


def _usable(items: Iterable[Spectrum | Refusal], refused: list[Refusal]) -> Iterator[Spectrum]:
    """Average each sample's measurements, and keep what is reflectance."""
    from ...converters.spectra.spectrum import Spectrum
    from ...edge.engine import average_samples
    from ...edge.errors import UnsuitableSpectrumError
    from ...edge.model.estimate import Refusal
    from ..samples import used_range

    by_sample: dict[str, list[Spectrum]] = {}
    for item in items:
        if not isinstance(item, Spectrum):
            refused.append(item)
            continue
        try:
            _require(item, used_range(item))
        except UnsuitableSpectrumError as error:
            refused.append(Refusal(item.source, str(error), item.sample_id))
        else:
            by_sample.setdefault(item.sample_id, []).append(item)
    for members in by_sample.values():
        # Of measurements that cannot be averaged the first ones stand for the sample.
        for mean in average_samples(members):
            if isinstance(mean, Spectrum):
                yield mean
                break


def _require(spectrum: Spectrum, range_nm: tuple[float, float]) -> None:
    from ...edge.model.suitability import require_reflectance

    require_reflectance(spectrum, range_nm)


def _record(one: Selected) -> dict[str, Any]:
    spectrum = one.candidate.spectrum
    place = spectrum.position
    return {
        "order": one.order,
        "sample": spectrum.sample_id,
        "measured_by_the_device": "yes" if one.candidate.measured else "no",
        "measured_at": spectrum.measured_at.isoformat() if spectrum.measured_at else "",
        "latitude_deg": place.latitude_deg if place else None,
        "longitude_deg": place.longitude_deg if place else None,
        "distance": None if one.distance is None else round(one.distance, 3),
        "source": spectrum.source,
    }


LAYOUT: Layout[Selected] = Layout(
    _record,
    names=(
        *("order", "sample", "measured_by_the_device", "measured_at", "latitude_deg", "longitude_deg"),
        *("distance", "source"),
    ),
    titles=("order", "sample", "measured", "distance", "source"),
    cells=lambda one: [
        (
            str(one.order),
            one.candidate.spectrum.sample_id,
            "yes" if one.candidate.measured else "no",
            "" if one.distance is None else f"{one.distance:.2f}",
            one.candidate.spectrum.source,
        )
    ],
    right=(0, 3),
)
