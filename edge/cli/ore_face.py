"""Asking for one block at the face, on a screen of 40 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import click

from ..log.write import Log, default_log_path
from ..ore.answer import Answer
from ..ore.bundle import OreBundle
from ..ore.cells import field_reader
from ..ore.columns import Variable
from ..ore.face import Known, answer_at_face, from_field, from_probe, unknown
from ..ore.probe_estimates import latest_estimates
from ..ore.report import heading, with_interval
from ..ore.store import store_call
from .ore_calls import OreCalls
from .output import printable, say

WIDTH = 40
SHOWN = 6
"""Contributions that fit on the screen."""


def predict_at_face(
    bundle: OreBundle,
    sample: str,
    classes: Sequence[str],
    assays: Sequence[str],
    ask: bool,
    log: str | None,
    out_format: str,
) -> None:
    """Gather what is known of one block, answer, store the call, and show it."""
    typed = _typed(bundle, classes, "class", ("class", "category")) | _typed(bundle, assays, "assay", ("assay",))
    path = Path(log) if log is not None else default_log_path()
    variables = bundle.columns.variables
    elements = [v.name for v in variables if v.kind == "assay" and v.name not in typed]
    estimates, remarks = latest_estimates(path, sample, elements) if elements else ({}, ())
    simulated = False
    known: dict[str, Known] = {}
    for k, variable in enumerate(variables):
        estimate = estimates.get(variable.name)
        if variable.name in typed:
            value, bound = typed[variable.name]
            known[variable.name] = _field(bundle, k, value, bound)
        elif estimate is not None:
            try:
                estimate = estimate.in_unit(variable.unit)
            except ValueError as error:
                remarks += (f"the probe's {variable.name} is not used: {error}",)
                continue
            known[variable.name] = from_probe(variable, estimate, float(bundle.training.highest[k]))
            simulated = simulated or estimate.simulated
            if estimate.low is None:
                remarks += (f"the probe's {variable.name} has no interval: taken as exact",)
    if ask:
        _ask(bundle, known)
    gathered = [known.get(v.name, unknown(v)) for v in variables]
    answer = answer_at_face(bundle, sample, gathered, simulated)
    with Log(path) as opened:
        store_call(opened, bundle, answer, gathered, remarks)
    if out_format == "table":
        _show(bundle, answer, gathered, remarks)
    else:
        OreCalls(out_format, bundle, explain=True).show([answer])
        for remark in remarks:
            say(remark, err=True)


def _typed(bundle: OreBundle, given: Sequence[str], option: str, kinds: Sequence[str]) -> dict[str, tuple[float, int]]:
    variables = {v.name: v for v in bundle.columns.variables if v.kind in kinds}
    found: dict[str, tuple[float, int]] = {}
    for text in given:
        name, equals, field = text.partition("=")
        variable = variables.get(name.strip())
        if not equals or variable is None:
            known = ", ".join(variables) or "none"
            raise click.UsageError(f"--{option} {text}: NAME=VALUE is needed; this model's are {known}")
        if variable.name in found:
            raise click.UsageError(f"--{option} {text}: {variable.name} is given twice")
        try:
            found[variable.name] = field_reader(variable, bundle.columns.missing)(field)
        except ValueError as error:
            raise click.UsageError(f"--{option} {text}: {error}") from None
    return found


def _field(bundle: OreBundle, index: int, value: float, bound: int) -> Known:
    highest = float(bundle.training.highest[index])
    return from_field(bundle.columns.variables[index], value, bound, highest, "geologist")


def _ask(bundle: OreBundle, known: dict[str, Known]) -> None:
    open_ones = [(k, v) for k, v in enumerate(bundle.columns.variables) if v.name not in known]
    # What is logged by eye first; an assay that no probe gave is seldom at hand.
    open_ones.sort(key=lambda item: item[1].kind == "assay")
    for number, (k, variable) in enumerate(open_ones, 1):
        click.echo(_wrapped(f"{number}/{len(open_ones)} {_asked(variable)}"), err=True)
        click.echo(_wrapped(_choices(variable)), err=True)
        read = field_reader(variable, bundle.columns.missing)
        while True:
            field = click.prompt(">", default="", show_default=False, prompt_suffix=" ", err=True)
            if field.strip() == "?":
                click.echo(_wrapped(_help(variable)), err=True)
                continue
            try:
                value, bound = read(field)
            except ValueError as error:
                click.echo(_wrapped(str(error)), err=True)
                continue
            known[variable.name] = _field(bundle, k, value, bound)
            break


def _asked(variable: Variable) -> str:
    return f"{variable.about} ({variable.title})" if variable.about else variable.title


def _choices(variable: Variable) -> str:
    if variable.kind == "assay":
        return f"{variable.shown_unit}, <0.02, >900, Enter, ?"
    words = [f"{code} {word}" if variable.coded else word for code, word in enumerate(variable.words, 1)]
    return ", ".join(words) + ", Enter, ?"


def _help(variable: Variable) -> str:
    about = f"{variable.about}. " if variable.about else ""
    if variable.kind == "assay":
        number = f"A number in {variable.shown_unit}"
        return f"{about}{number}; <0.02 if below what can be told, >900 if above. Enter: not known."
    order = ", lowest first" if variable.kind == "class" else ""
    what = "A word or its number" if variable.coded else "One of these"
    return f"{about}{what}{order}. Enter: not known; every one is then tried."


def _show(bundle: OreBundle, answer: Answer, known: Sequence[Known], remarks: Sequence[str]) -> None:
    click.echo(_wrapped(_heading(bundle, answer.simulated)) + "\n")
    click.echo(_wrapped(f"{answer.id}: {answer.decision.upper()}"))
    click.echo(_wrapped(f"P(ore) {with_interval(answer, 2)}, ore from {bundle.threshold:.2f}"))
    if answer.low is not None and answer.high is not None and answer.low != answer.high:
        click.echo(_wrapped(f"{answer.low:.2f} - {answer.high:.2f} over what the inputs may be"))
    if answer.reason:
        click.echo(_wrapped(answer.reason))
    click.echo(f"\nfor (+) and against (-) ore, {bundle.model.space}:")
    for c in answer.contributions[:SHOWN]:
        name = f"{c.variable} {c.shown}"
        say(f"{c.amount:+7.2f} {textwrap.shorten(name, WIDTH - 8, placeholder='..')}")
    probed = [k for k in known if k.source.startswith("probe")]
    notes = [f"{k.variable.name} {k.words}: {k.source}" for k in probed] + [*answer.flags, *remarks]
    if notes:
        click.echo()
        for note in notes:
            click.echo(_wrapped(f"- {note}", "  "))


def _heading(bundle: OreBundle, simulated: bool) -> str:
    probe = " The probe's model or spectrum is SIMULATED: this says nothing about real ground."
    return heading(bundle) + probe * (simulated and not bundle.simulated)


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(printable(text), WIDTH, subsequent_indent=indent, break_long_words=True)
