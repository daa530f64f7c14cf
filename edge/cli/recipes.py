"""`stibium recipes`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import click

from .output import Layout, Output, format_option

if TYPE_CHECKING:
    from ..model.presets import Preprocessing

ORDER = (
    "splice_correction, if any, first; then resample, which says on which grid the model stands; spectrogram last",
    "no step twice",
    "absorbance and continuum_removal before a derivative or standard_normal_variate, which leave no reflectance",
    "absorbance not after a subtracted continuum; external_parameter_orthogonalisation right after absorbance",
    "feature_orthogonalisation last, and no spectrogram then",
)


class _Row(NamedTuple):
    kind: str
    name: str
    parameters: str
    about: str


@click.command(epilog="Example:  stibium recipes snv-derivative > mine.toml")
@click.argument("name", metavar="[NAME|FILE]", required=False)
@format_option
def recipes(name: str | None, out_format: str) -> None:
    """List the recipes of preprocessing and their steps, or print one as TOML to start from.

    A FILE is read, checked and printed as it is understood, with every parameter. `--recipe NAME|FILE` of train,
    validate and plot takes it (docs/recipes.md).
    """
    from ..model.presets import PRESETS
    from ..recipe_file import read_preprocessing, to_toml

    if name is not None:
        chosen = read_preprocessing(name)
        click.echo(to_toml(chosen), nl=False)
        return
    rows = [_Row("recipe", key, "", _in_words(one)) for key, one in PRESETS.items()]
    rows += _steps()
    layout: Layout[_Row] = Layout(
        _Row._asdict,
        _Row._fields,
        titles=("", "name", "parameters and what they usually are; about"),
        cells=lambda row: [(row.kind, row.name, "; ".join(filter(None, (row.parameters, row.about))))],
    )
    Output(out_format, layout).write(rows)
    if out_format == "table":
        click.echo("\nOrder: " + ".\n       ".join(ORDER) + ".")


def _in_words(chosen: Preprocessing) -> str:
    several = len(chosen.recipes) > 1
    chains = [", ".join(step.step for step in recipe.steps) for recipe in chosen.recipes]
    if several:
        return f"{len(chains)} side by side, as: {chains[0]}"
    return chains[0]


def _steps() -> list[_Row]:
    from ..model.steps import STEPS
    from ..recipe_file import parameters_of

    def said(parameter: Any) -> str:
        usual = "" if parameter.usual is None else f" = {parameter.usual}"
        return f"{parameter.name}{usual}{f' ({parameter.may_be})' if parameter.may_be else ''}"

    return [
        _Row("step", name, ", ".join(map(said, parameters_of(kind))), (kind.__doc__ or "").strip().splitlines()[0])
        for name, kind in STEPS.items()
    ]
