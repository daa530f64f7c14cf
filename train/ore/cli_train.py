"""`stibium ore train`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from ..cli.common import say
from .cli_options import Line, columns_option, cost_options, require_training_side

if TYPE_CHECKING:
    from .tasks import Progress
    from .training import OreResult

FAST_ROWS, FAST_FOLDS = 1_500, 4


@click.command(epilog="Example:  stibium ore train deposit/blocks.csv --out run --cost-lost-ore 5")
@click.argument("table", type=click.Path())
@columns_option
@click.option("--out", required=True, type=click.Path(file_okay=False), metavar="RUN", help="Folder for the run.")
@click.option(
    "--scenario",
    "scenario_names",
    multiple=True,
    metavar="NAME|FILE",
    help="Variables a model may use: C1 to C4, or a .toml file; may be given several times.  [default: C1 to C4]",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    type=click.Choice(["logistic", "tree", "forest", "adaboost", "xgboost"]),
    help="May be given several times.  [default: all five]",
)
@click.option(
    "--rows", type=click.IntRange(min=20), metavar="N", help="Blocks to train on.  [default: 6730; fast 1500]"
)
@click.option(
    "--test-rows", type=click.IntRange(min=10), metavar="N", help="Blocks to test on.  [default: 6730; fast 1500]"
)
@click.option("--folds", type=click.IntRange(min=2), metavar="N", help="Outer folds.  [default: 10; fast 4]")
@cost_options
@click.option("--seed", type=click.IntRange(min=0), default=42, show_default=True, help="Of draws, folds and models.")
@click.option("--fast", is_flag=True, help="A first look: fewer rows, folds and combinations, smaller ensembles.")
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Processes.  [default: the processors there are]")
@click.option("--force", is_flag=True, help="Overwrite a whole run in RUN; one that was interrupted goes on anyway.")
@click.option("--no-report", is_flag=True, help="Leave out RUN/report.html.")
@click.option(
    "--format",
    "out_format",
    type=click.Choice(["table", "jsonl", "csv"]),
    default="table",
    show_default=True,
    help="How the scores are written; jsonl has one line a model and scenario.",
)
def train(
    table: str,
    columns: str | None,
    out: str,
    scenario_names: tuple[str, ...],
    models: tuple[str, ...],
    rows: int | None,
    test_rows: int | None,
    folds: int | None,
    cost_lost_ore: float,
    cost_hauled_gangue: float,
    seed: int,
    fast: bool,
    jobs: int | None,
    force: bool,
    no_report: bool,
    out_format: str,
) -> None:
    """Compare five models over scenarios on a TABLE of labelled blocks, and make a bundle of each.

    Nested cross-validation in folds of whole holes, and beside it the plain random split on the same rows. RUN gets
    models/ (bundles that are equal to the library's answers), run.json, tables/ and report.html.
    """
    require_training_side()
    from ...edge.ore.columns import read_columns
    from ...edge.ore.scenarios import read_scenario
    from ...edge.ore.scenarios import scenario_names as shipped
    from .data import load_ore_data, notes
    from .folder import REPORT, TABLES, check_ore_folder

    scenarios = tuple(read_scenario(name) for name in scenario_names or shipped())
    names = [s.name for s in scenarios]
    if len(set(names)) < len(names):
        raise click.BadParameter("a scenario is named twice", param_hint="--scenario")
    described = read_columns(columns)
    used = dict.fromkeys(variable for s in scenarios for variable in s.variables)
    for scenario in scenarios:
        described.pick(scenario.variables)
    # In the columns file's order; columns that no scenario asks for need not be in the table.
    described = described.pick([name for name in described.names if name in used])
    folder = check_ore_folder(out, force)
    data = load_ore_data(table, described)
    remarks = notes(data)
    say(remarks)
    # What is wrong with the table is said before the seconds that these take.
    from ...edge.ore.bundle import Costs
    from .comparison import Settings, forget_parts
    from .models import MODELS
    from .report import write_ore_report
    from .report_tables import as_tables
    from .run import save_bundles, save_record, write_table
    from .splits import TEST_ROWS, TRAINING_ROWS
    from .training import train_ore

    settings = Settings(
        scenarios=scenarios,
        models=models or tuple(MODELS),
        training_rows=rows or (FAST_ROWS if fast else TRAINING_ROWS),
        test_rows=test_rows or (FAST_ROWS if fast else TEST_ROWS),
        folds=folds or (FAST_FOLDS if fast else 10),
        seed=seed,
        fast=fast,
    )
    costs = Costs(cost_lost_ore, cost_hauled_gangue)
    line = Line()
    shown = _Shown(line)
    try:
        result = train_ore(data, described, settings, costs, folder, jobs, shown.fits, shown.explained)
        line.show("writing")
        files = save_bundles(folder, result.bundles)
        for name, shown_table in as_tables(result).items():
            write_table(folder / TABLES / f"{name}.csv", shown_table.header, shown_table.rows)
        if not no_report:
            write_ore_report(folder / REPORT, result, remarks)
        save_record(folder, data, result.comparison, result.thresholds, costs, files, result.beside)
        forget_parts(folder)
    finally:
        line.close()
    _print_scores(result, out_format)
    say([f"{len(files)} models, run.json, tables{'' if no_report else f' and {REPORT}'} in {folder}"])


class _Shown:
    """Turns progress into a line, with the time that is left."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def fits(self, progress: Progress) -> None:
        minutes, seconds = divmod(round(progress.remaining_s), 60)
        self._line.show(f"{progress.done} of {progress.total} fits, about {minutes}:{seconds:02d} left")

    def explained(self, done: int, of: int) -> None:
        self._line.show(f"explaining: {done} of {of} models")


def _print_scores(result: OreResult, out_format: str) -> None:
    import csv
    import io
    from dataclasses import asdict

    from .models import MODELS
    from .run import plain
    from .scores import SCORES

    comparison = result.comparison
    if out_format == "jsonl":
        for cell in comparison.cells:
            line = {
                "simulated": result.data.simulated,
                "protocol": cell.protocol,
                "scenario": cell.scenario,
                "model": cell.model,
                "best": cell.protocol == comparison.honest and comparison.best(cell.scenario) is cell,
                "cross_validated": {name: plain(asdict(s)) for name, s in cell.cross_validated.items()},
                "test": plain(cell.test),
            }
            click.echo(json.dumps(line))
        return
    if out_format == "csv":
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["simulated", "protocol", "scenario", "model", *SCORES, *(f"{s}_sd" for s in SCORES)])
        for cell in comparison.cells:
            spreads = [cell.cross_validated[s] for s in SCORES]
            digits = [f"{s.mean:.4f}" for s in spreads] + [f"{s.sd:.4f}" for s in spreads]
            table.writerow([result.data.simulated, cell.protocol, cell.scenario, cell.model, *digits])
        click.echo(text.getvalue(), nl=False)
        return
    if result.data.simulated:
        click.echo("SIMULATED: these figures are about the software and say nothing about real ground.\n")
    how = "whole holes apart" if comparison.honest == "grouped" else "at random"
    click.echo(
        f"{comparison.settings.folds} left-out folds, {how}; mean ± standard deviation; * the best by Brier score\n"
    )
    header = ("", "model", "accuracy", "precision", "recall", "F1", "Brier", "AUC", "ECE", "AUC at random")
    lines: list[tuple[str, ...]] = [header]
    for cell in comparison.cells:
        if cell.protocol != comparison.honest:
            continue
        mixed = comparison.cell("random", cell.scenario, cell.model).cross_validated["auc"]
        spreads = [cell.cross_validated[s] for s in SCORES]
        mark = "*" if comparison.best(cell.scenario) is cell else " "
        numbers = [f"{s.mean:.3f} ± {s.sd:.3f}" for s in spreads]
        title = f"{mark}{MODELS[cell.model].title}"
        lines.append((cell.scenario, title, *numbers, f"{mixed.mean:.3f} ± {mixed.sd:.3f}"))
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    for texts in lines:
        click.echo("  ".join(f"{text:<{w}}" for text, w in zip(texts, widths, strict=True)).rstrip())
