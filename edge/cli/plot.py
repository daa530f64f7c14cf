"""`stibium plot`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from .desk_only import of_the_desk
from .options import load_bundle
from .output import notice
from .progress import Progress

if TYPE_CHECKING:
    from ...converters.spectra.spectrum import Spectrum
    from ..model.bundle import Bundle
    from ..model.recipe import Blocks
    from ..record import ReadingRecord

MOST_DRAWN = 500
"""Spectra in one figure; more lines than that are a black surface."""
MOST_EXPLAINED = 6
"""Spectra whose steps or estimates are drawn."""


@click.command(epilog="Example:  stibium plot soils/ --model sb.tflite --out soils.html")
@click.argument("paths", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@click.option("--steps", is_flag=True, help="Draw the spectrum after each step of the model's preprocessing, too.")
@click.option(
    "--model",
    type=click.Path(),
    metavar="BUNDLE",
    help="Draw what this model makes of each spectrum: the estimate, the wavelengths it rests on, what is unlike the "
    "calibration. --steps without it takes the default model.",
)
@click.option(
    "--recipe",
    metavar="NAME|FILE",
    help="Draw the spectrum after each step of this preprocessing: a name that `stibium recipes` lists, or a .toml "
    "file.",
)
@click.option("--sample", "samples", multiple=True, metavar="ID", help="Draw this sample only; may be repeated.")
@click.option(
    "--out",
    default="spectra.svg",
    show_default=True,
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Picture to write: .svg, .png (needs the training side), or .html for a page.",
)
@click.pass_context
def plot(
    ctx: click.Context,
    paths: tuple[str, ...],
    steps: bool,
    model: str | None,
    recipe: str | None,
    samples: tuple[str, ...],
    out: str,
) -> None:
    """Draw spectra, and what a model makes of them.

    One file that any browser shows, offline. Spectra are drawn over each other; with --steps, --recipe or --model
    the first six of them get figures of their own. A file that cannot be used is named with its reason and does not
    stop the rest.
    """
    from ...converters.spectra.files import write_whole
    from ...converters.spectra.spectrum import Spectrum
    from ..files import iter_spectra
    from ..plot import as_page, as_picture
    from ..recipe_file import read_preprocessing

    ending = os.path.splitext(out)[1].lower()
    if ending not in (".svg", ".png", ".html"):
        raise click.UsageError(f"--out {out}: end it in .svg, .png or .html")
    render = of_the_desk("pictures", "png") if ending == ".png" else None
    if ending == ".png" and render is None:
        from ..errors import installing

        raise click.UsageError(f"--out {out}: a PNG needs the training side, {installing('train')}; .svg does not")
    if recipe is not None and steps:
        raise click.UsageError("--steps draws those of the model, --recipe others: choose one")
    own = read_preprocessing(recipe).blocks if recipe is not None else None
    spectra: list[Spectrum] = []
    refused = more = 0
    with Progress("spectra") as progress:
        for item in iter_spectra(paths):
            if not isinstance(item, Spectrum):
                refused += 1
                notice(f"refused {item.source}: {item.reason}")
            elif samples and item.sample_id not in samples:
                continue
            elif len(spectra) == MOST_DRAWN:
                more += 1
            else:
                spectra.append(item)
                progress.at(len(spectra))
    if not spectra:
        nothing = f"nothing to draw in {', '.join(paths)}{_asked(samples)}"
        if not refused:
            raise click.UsageError(nothing)
        notice(nothing)
        ctx.exit(1)
    figures, failed = _figures(spectra, steps, model, own)
    title = f"Spectra of {', '.join(map(os.path.basename, paths[:3]))}"
    text = as_page(title, figures) if ending == ".html" else as_picture(figures)
    write_whole(out, render(text) if render is not None else text.encode())
    if more:
        notice(f"{more} more spectra are not drawn: {MOST_DRAWN} lines are as many as can be told apart")
    if (steps or model or own) and len(spectra) > MOST_EXPLAINED:
        notice(f"the first {MOST_EXPLAINED} spectra have figures of their own; --sample chooses others")
    click.echo(out)
    ctx.exit(1 if refused or failed else 0)


def _figures(
    spectra: list[Spectrum], steps: bool, model: str | None, own: Blocks | None
) -> tuple[list[tuple[str, str]], int]:
    """Draw, and count the spectra that model or recipe refuse; each is named with its reason."""
    from ..errors import PreprocessError, UnsuitableSpectrumError, why_refused
    from ..model.suitability import require_reflectance
    from ..plot import draw_spectra, draw_steps

    quantities = dict.fromkeys(spectrum.quantity for spectrum in spectra)
    figures = [
        (f"{quantity}, {len(chosen)} spectr{'um' if len(chosen) == 1 else 'a'}", draw_spectra(chosen))
        for quantity in quantities
        for chosen in [[spectrum for spectrum in spectra if spectrum.quantity == quantity]]
    ]
    explained = spectra[:MOST_EXPLAINED]
    failed = 0
    if own is not None:
        for spectrum in explained:
            name = _name(spectrum)
            try:
                require_reflectance(spectrum, own.range_nm)
                figures += [(f"{name}: {title}", svg) for title, svg in draw_steps(spectrum, own)]
            except (PreprocessError, UnsuitableSpectrumError) as error:
                failed += 1
                notice(f"refused {name}: {why_refused(error)}")
    if not steps and model is None:
        return figures, failed
    bundle = load_bundle(model)
    readings = _readings(bundle, explained)
    for spectrum, reading in zip(explained, readings, strict=True):
        name = _name(spectrum)
        if not reading.estimates:
            failed += 1
            notice(f"refused {name}: {reading.reason}")
        try:
            if model is not None and reading.estimates:
                figures += _explained(name, spectrum, reading, bundle)
            if steps:
                figures += [(f"{name}: {title}", svg) for title, svg in draw_steps(spectrum, bundle.recipe)]
        except (PreprocessError, UnsuitableSpectrumError) as error:
            notice(f"{name}: its steps cannot be drawn: {why_refused(error)}")
    return figures, failed


def _name(spectrum: Spectrum) -> str:
    return f"{spectrum.sample_id} {spectrum.measurement}".strip()


def _readings(bundle: Bundle, spectra: list[Spectrum]) -> list[ReadingRecord]:
    from ..loaded_model import Model

    return Model(bundle).estimate(spectra)


def _explained(name: str, spectrum: Spectrum, reading: ReadingRecord, bundle: Bundle) -> list[tuple[str, str]]:
    from ..plot import draw_estimate, draw_rests_on, draw_unlike, verdict_of

    verdict = verdict_of(reading)
    figures = [
        (f"{name}: {verdict}", draw_estimate(reading.estimates[0], bundle.calibrated_range, bundle.transform)),
        (f"{name}: what the estimate rests on, in stretches of 50 nm", draw_rests_on(spectrum, bundle)),
        (f"{name}: what the calibration's soils do not have", draw_unlike(spectrum, bundle)),
    ]
    return [(title, svg) for title, svg in figures if svg]


def _asked(samples: tuple[str, ...]) -> str:
    return f": no sample is called {' or '.join(samples)}" if samples else ""
