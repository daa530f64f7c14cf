"""`stibium ore train`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ...edge.cli.output import format_option
from ..cli.common import say
from ..crossval.validation import minutes
from ..terminal import SIMULATED, ProgressLine
from .cli_options import columns_option, cost_options, require_training_side

if TYPE_CHECKING:
    from .comparison import Cell
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
@click.option(
    "--whole",
    type=click.Choice(["hole", "section", "area"]),
    default="hole",
    show_default=True,
    help="What folds and the test set keep whole; columns of the table, named in the columns file.",
)
@click.option(
    "--below-detection",
    "below",
    type=click.Choice(["choose", "half", "mark", "impute"]),
    default="choose",
    show_default=True,
    help="What stands for a value below a detection limit: half the limit, half and a mark, or the mean of what is "
    "below; choose: the inner folds decide.",
)
@cost_options
@click.option("--seed", type=click.IntRange(min=0), default=42, show_default=True, help="Of draws, folds and models.")
@click.option("--fast", is_flag=True, help="A first look: fewer rows, folds and combinations, smaller ensembles.")
@click.option("--jobs", type=click.IntRange(min=1), metavar="N", help="Processes.  [default: the processors there are]")
@click.option("--force", is_flag=True, help="Overwrite a whole run in RUN; one that was interrupted goes on anyway.")
@click.option("--no-report", is_flag=True, help="Leave out RUN/report.html.")
@format_option
def train(
    table: str,
    columns: str | None,
    out: str,
    scenario_names: tuple[str, ...],
    models: tuple[str, ...],
    rows: int | None,
    test_rows: int | None,
    folds: int | None,
    whole: str,
    below: Any,
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

    Nested cross-validation in folds of whole holes, and beside it what folds at random would flatter the figures by,
    on the same rows. RUN gets
    models/ (bundles that are equal to the library's answers), run.json, tables/ and report.html.
    """
    require_training_side()
    from ...edge.errors import ColumnFileError
    from ...edge.ore.columns import columns_file, read_columns
    from ...edge.ore.scenarios import read_scenario
    from ...edge.ore.scenarios import scenario_names as shipped
    from .data import folds_for, load_ore_data, notes
    from .folder import REPORT, TABLES, check_ore_folder

    scenarios = tuple(read_scenario(name) for name in scenario_names or shipped())
    names = [s.name for s in scenarios]
    if len(set(names)) < len(names):
        raise click.BadParameter("a scenario is named twice", param_hint="--scenario")
    described = read_columns(columns)
    own = columns_file(columns)
    foreign = [v for s in scenarios for v in s.variables if v not in described.names]
    if own and foreign and not scenario_names:
        raise ColumnFileError(
            f"{own} has no {foreign[0]}, which the scenarios {', '.join(names)} are made of: for variables of your own "
            "name a scenario of your own, --scenario FILE.toml"
        )
    used = dict.fromkeys(variable for s in scenarios for variable in s.variables)
    for scenario in scenarios:
        described.pick(scenario.variables, f"scenario {scenario.name}")
    # In the columns file's order; columns that no scenario asks for need not be in the table.
    described = described.pick([name for name in described.names if name in used])
    folder = check_ore_folder(out, force)
    # What somebody's own file names must be there; of the default one only what figures would be false without.
    data = load_ore_data(table, described, described.roles if own else ("group",), whole)
    remarks = notes(data)
    say(remarks)
    # What is wrong with the table is said before the seconds that these take.
    from ...edge.ore.bundle import Costs
    from .comparison import Settings, forget_parts
    from .models import MODELS
    from .report import domains_in_words, limits_in_words, worthless, write_ore_report
    from .report_tables import as_tables
    from .run import save_bundles, save_record, write_table, write_unlabelled
    from .splits import TEST_ROWS, TRAINING_ROWS
    from .training import train_ore

    settings = Settings(
        scenarios=scenarios,
        models=models or tuple(MODELS),
        training_rows=rows or (FAST_ROWS if fast else TRAINING_ROWS),
        test_rows=test_rows or (FAST_ROWS if fast else TEST_ROWS),
        folds=folds or folds_for(data, FAST_FOLDS if fast else 10),
        seed=seed,
        fast=fast,
        below=below,
    )
    costs = Costs(cost_lost_ore, cost_hauled_gangue)
    with ProgressLine() as line:

        def fits(done: Progress) -> None:
            line.show(f"{done.done} of {done.total} fits, about {minutes(done.remaining_s)} left")

        result = train_ore(
            data,
            described,
            settings,
            costs,
            folder,
            jobs,
            fits,
            lambda done, of: line.count("explained models", done, of),
            lambda done, of: line.count("joint domains", done, of),
        )
        line.show("writing")
        files = save_bundles(folder, result.bundles)
        for name, shown_table in as_tables(result).items():
            write_table(folder / TABLES / f"{name}.csv", shown_table.header, shown_table.rows)
        unlabelled = write_unlabelled(folder, data, result.comparison)
        if not no_report:
            write_ore_report(folder / REPORT, result, remarks)
        save_record(folder, data, result.comparison, result.thresholds, costs, files, result.beside, result.bundles)
        forget_parts(folder)
    _print_scores(result, out_format)
    say([*limits_in_words(result), *domains_in_words(result)])
    say(worthless(result))
    models_made = f"{len(files)} model{'s' * (len(files) > 1)}"
    say([f"{models_made}, run.json, tables{'' if no_report else f' and {REPORT}'} in {folder}"])
    if unlabelled:
        say([f"{unlabelled} unlabelled rows are answered for in {folder / TABLES}/unlabelled_*.csv"])


def _print_scores(result: OreResult, out_format: str) -> None:
    from dataclasses import asdict

    from ...edge.cli.output import Layout, Output
    from .models import MODELS
    from .report_tables import three
    from .run import calibration_by_chance, plain
    from .scores import SCORES, TITLES

    comparison = result.comparison
    ore_share = float(result.data.ore[comparison.split.training].mean())

    def nothing(cell: Cell) -> str:
        worth = result.bundles[cell.scenario, cell.model].worth
        return worth.nothing if worth else ""

    def record(cell: Cell) -> dict[str, Any]:
        spreads = {"cross_validated": cell.cross_validated, "at_random": cell.leakage.at_random if cell.leakage else {}}
        return {
            "simulated": result.data.simulated,
            "scenario": cell.scenario,
            "model": cell.model,
            "best": comparison.best(cell.scenario) is cell,
            **{name: {key: plain(asdict(s)) for key, s in found.items()} for name, found in spreads.items()},
            "leakage": plain(cell.leakage.difference) if cell.leakage else None,
            "test": plain(cell.test),
            "calibration_error": {"left_out": cell.unseen_error, "test": cell.test["ece"]},
            "calibration_error_by_chance": calibration_by_chance(cell),
            "ore_share": ore_share,
            "worth_nothing": nothing(cell),
        }

    def row(cell: Cell) -> dict[str, Any]:
        scores = {score: f"{cell.cross_validated[score].mean:.4f}" for score in SCORES}
        spreads = {f"{score}_sd": f"{cell.cross_validated[score].sd:.4f}" for score in SCORES}
        leakage = f"{cell.leakage.difference['auc']:.4f}" if cell.leakage else ""
        known = {name: record(cell)[name] for name in ("simulated", "scenario", "model", "best")}
        more = {
            "auc_leakage": leakage,
            "ece_by_chance": f"{cell.chance_error:.4f}",
            "ece_left_out": f"{cell.unseen_error:.4f}",
            "ece_left_out_by_chance": f"{cell.unseen_chance:.4f}",
            "ore_share": f"{ore_share:.4f}",
        }
        return known | scores | spreads | more | {"worth_nothing": record(cell)["worth_nothing"]}

    def cells(cell: Cell) -> list[str]:
        spreads = [f"{three(cell.cross_validated[s].mean)} ± {three(cell.cross_validated[s].sd)}" for s in SCORES]
        mark = "*" if comparison.best(cell.scenario) is cell else " "
        leakage = f"{cell.leakage.difference['auc']:+.3f}" if cell.leakage else "–"
        spreads[SCORES.index("ece")] = f"{cell.unseen_error:.3f} ({cell.unseen_chance:.3f})"
        worth = "worth nothing" if nothing(cell) else ""
        return [cell.scenario, f"{mark}{MODELS[cell.model].title}", *spreads, leakage, worth]

    titles = [TITLES[s] for s in SCORES]
    titles[SCORES.index("accuracy")] += f" (base {max(ore_share, 1 - ore_share):.3f})"
    titles[SCORES.index("ece")] += " (by chance)"
    how = "whole holes apart" if comparison.grouped else "at random"
    note = f"{comparison.settings.folds} left-out folds, {how}; mean ± standard deviation; * the best by Brier score"
    if comparison.grouped:
        note += "; leakage: what folds at random add to the AUC, on the same rows"
    call = "ore" if ore_share >= 0.5 else "gangue"
    note += (
        f". {100 * ore_share:.1f} % of the blocks are ore: to call all of them {call} is right in "
        f"{100 * max(ore_share, 1 - ore_share):.1f} % (base); ECE: of all left-out blocks "
        "together, and by chance, if all probabilities were true"
    )
    if result.data.simulated:
        note = f"{SIMULATED} {note}"
    layout = Layout[Any](
        record,
        rows=lambda cell: [row(cell)],
        titles=["", "model", *titles, "leakage", ""],
        cells=lambda cell: [cells(cell)],
        note=note,
    )
    Output(out_format, layout).write(comparison.cells)
