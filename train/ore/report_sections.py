"""Sections of the ore report: what came out, whether neighbours leaked, why the models say so, from what."""

from __future__ import annotations

from html import escape

import numpy as np
from numpy.typing import NDArray

from ...edge.ore.columns import Variable
from ..report.chart import number
from ..report.page import Section, figure, figures, paragraph, table
from .explain import ONE_WAY, Waterfall
from .models import MODELS
from .report_figures import (
    draw_cost,
    draw_frequencies,
    draw_leakage,
    draw_magnitudes,
    draw_matrix,
    draw_precision_recall,
    draw_reliability,
    draw_roc,
    draw_swarm,
    draw_waterfall,
)
from .report_tables import (
    cells_of,
    frequency_rows,
    leakage_rows,
    score_rows,
    statistics_rows,
    test_ore,
    test_rows,
    three,
)
from .scores import confusion
from .search import FINALISTS, FIRST_SHARE, INNER_FOLDS
from .study import CITATION
from .threshold import mean_cost
from .training import OreResult

Bools = NDArray[np.bool_]
ECE_WANTED = 0.03


def make_ore_sections(result: OreResult) -> list[Section]:
    """Make all sections, in reading order."""
    makers = (outcome, scores, leakage, curves, thresholds, explanations, study, statistics, correlation)
    return [section for make in makers if (section := make(result)) is not None]


def outcome(result: OreResult) -> Section:
    """The best model of each scenario in a line, and whether its probabilities can be believed."""
    rows = []
    for scenario in result.comparison.settings.scenarios:
        best = result.comparison.best(scenario.name)
        threshold = result.thresholds[best.scenario, best.model]
        verdict = "pass" if best.test["ece"] <= ECE_WANTED else "warn"
        rows.append(
            [
                scenario.name,
                scenario.title,
                MODELS[best.model].title,
                three(best.test["accuracy"]),
                three(best.test["auc"]),
                three(best.test["brier"]),
                three(best.test["ece"]),
                verdict,
                f"{threshold.value:.3f}",
            ]
        )
    apart = result.comparison.honest == "grouped"
    test = len(result.comparison.split(result.comparison.honest).test)
    lead = (
        f"The best model of each scenario by the Brier score of left-out folds; figures of {number(test)} test blocks "
        + ("of holes that no model had seen." if apart else "drawn at random: the table has no holes to keep apart.")
        + f" An expected calibration error of at most {ECE_WANTED} passes."
    )
    header = ("scenario", "variables", "best model", "accuracy", "AUC", "Brier", "ECE", "verdict", "threshold")
    return Section("outcome", "What came out", paragraph(lead, "lead") + table(header, rows, left=3))


def scores(result: OreResult) -> Section:
    """The comparison's tables."""
    settings = result.comparison.settings
    header, rows, strong = score_rows(result, result.comparison.honest)
    budgets = ", ".join(
        f"{MODELS[m].title} {len(MODELS[m].candidates(settings.seed, settings.fast))}" for m in settings.models
    )
    how = (
        f"{settings.folds} stratified folds"
        + (" of whole holes" if result.comparison.honest == "grouped" else "")
        + f"; inside each, parameters were searched in {2 if settings.fast else INNER_FOLDS} inner folds. Budget, in "
        f"combinations: {budgets}; tried on {FIRST_SHARE:.0%} of the rows, {1 if settings.fast else FINALISTS} of them "
        "on all rows. Inner predictions choose the calibration. Mean ± standard deviation over the outer folds; the "
        "parameters are those of the final fit."
    )
    body = paragraph(how, "lead") + table(header, rows, left=2, strong=strong, caption="Left-out folds")
    header, rows = test_rows(result, result.comparison.honest)
    text = (
        "The final fits on the test blocks; the spread is that of 200 draws of whole holes with replacement. Counts "
        "are the confusion matrix at a threshold of 0.5."
    )
    body += paragraph(text, "lead") + table(header, rows, left=2, caption="Test blocks")
    return Section("scores", "Five models, four scenarios" if len(settings.models) == 5 else "Models", body)


def leakage(result: OreResult) -> Section | None:
    """What neighbours give away: the random split beside the grouped one."""
    if result.comparison.honest != "grouped":
        return None
    header, rows = leakage_rows(result)
    gains = [
        result.comparison.cell("random", c.scenario, c.model).cross_validated["auc"].mean
        - c.cross_validated["auc"].mean
        for c in cells_of(result, "grouped")
    ]
    lead = (
        "The plain random split, as the study has it, puts neighbouring blocks of a hole on both sides. The same rows, "
        "models and search; only the folds differ. "
        f"At random the AUC is higher by {three(float(np.mean(gains)))} on average, at most by "
        f"{three(float(np.max(gains)))}: that much is neighbours, not knowledge. Filled: whole holes apart; hollow: "
        "at random."
    )
    drawn = [
        figure(draw_leakage(result.comparison, s.name, result.data.simulated), f"{s.name}: {s.title}.")
        for s in result.comparison.settings.scenarios
    ]
    body = paragraph(lead, "lead") + figures(drawn) + table(header, rows, left=2)
    return Section("leakage", "By hole and at random", body)


def curves(result: OreResult) -> Section:
    """ROC, precision-recall and calibration curves of every scenario."""
    ore, simulated = test_ore(result, result.comparison.honest), result.data.simulated
    body = paragraph(
        "Test blocks. Calibration curves: bars are two standard errors; hollow grey is the plain probability, before "
        "calibration.",
        "lead",
    )
    for scenario in result.comparison.settings.scenarios:
        cells = [c for c in cells_of(result, result.comparison.honest) if c.scenario == scenario.name]
        items = [
            figure(draw_roc(cells, ore, simulated), "ROC."),
            figure(draw_precision_recall(cells, ore, simulated), "Precision-recall; dashed: call everything ore."),
        ]
        items += [
            figure(draw_reliability(c, ore, simulated), f"Calibration of {MODELS[c.model].title}: {c.calibration}.")
            for c in cells
        ]
        body += f"<h3>{escape(scenario.name)}: {escape(scenario.title)}</h3>" + figures(items)
    return Section("curves", "Curves", body)


def thresholds(result: OreResult) -> Section:
    """Where to draw the line, by cost."""
    costs = result.costs
    ore = test_ore(result, result.comparison.honest)
    rows, drawn = [], []
    for cell in cells_of(result, result.comparison.honest):
        t = result.thresholds[cell.scenario, cell.model]
        lost, hauled, _, _ = confusion(cell.test_probability, ore, t.value)
        rows.append(
            [
                cell.scenario,
                MODELS[cell.model].title,
                f"{t.value:.3f}",
                three(t.cost),
                three(mean_cost(cell.test_probability, ore, costs, t.value)),
                three(mean_cost(cell.test_probability, ore, costs, 0.5)),
                str(lost),
                str(hauled),
            ]
        )
        if result.comparison.best(cell.scenario) is cell:
            svg = draw_cost(t, t.value, result.data.simulated)
            drawn.append(figure(svg, f"{cell.scenario}, {MODELS[cell.model].title}: left-out folds."))
    first = next(iter(result.thresholds.values()))
    lead = (
        f"A lost block of ore costs {number(costs.lost_ore)}, a hauled block of gangue {number(costs.hauled_gangue)}. "
        "The threshold is the cheapest one on left-out folds; for probabilities that can be believed it is "
        f"{first.stated:.3f}, whatever the model. Without a model, hauling everything costs "
        f"{three(first.cost_all_ore)} a block, nothing {three(first.cost_all_gangue)}."
    )
    header = (
        "scenario",
        "model",
        "threshold",
        "cost, folds",
        "cost, test",
        "at 0.5, test",
        "ore lost",
        "gangue hauled",
    )
    return Section(
        "threshold", "Threshold by cost", paragraph(lead, "lead") + figures(drawn) + table(header, rows, left=2)
    )


def explanations(result: OreResult) -> Section:
    """SHAP summaries and single blocks of every model and scenario."""
    simulated = result.data.simulated
    some = next(iter(result.summaries.values()))
    body = paragraph(
        f"Exact Shapley values, those that the device gives with each answer, over {len(some.values)} test blocks. "
        "They are in the space in which a model sums: probability for a tree and a forest, log-odds for the others. "
        f"Bars: mean size; vermillion if high values push towards ore (rank correlation above {ONE_WAY:g}), blue if "
        "towards gangue, grey if neither way alone.",
        "lead",
    )
    for scenario in result.comparison.settings.scenarios:
        best = result.comparison.best(scenario.name)
        swarm = result.summaries[scenario.name, best.model]
        name = _capital(MODELS[best.model].title)
        text = f"{name}, the best here: each dot a block, dark for low values, light for high ones."
        items = [figure(draw_swarm(swarm, simulated), text)]
        for model in result.comparison.settings.models:
            summary = result.summaries[scenario.name, model]
            items.append(figure(draw_magnitudes(summary, simulated), f"{_capital(MODELS[model].title)}."))
        body += f"<h3>{escape(scenario.name)}: {escape(scenario.title)}</h3>" + figures(items)
        falls = [
            figure(draw_waterfall(w, _words(result, w), simulated), _fall_caption(w))
            for model in result.comparison.settings.models
            for w in result.waterfalls[scenario.name, model]
        ]
        body += (
            f"<details><summary>Single blocks in {escape(scenario.name)}: {len(falls)} waterfalls</summary>"
            f"{figures(falls)}</details>"
        )
    return Section("explanations", "What moves the answers", body)


def _fall_caption(w: Waterfall) -> str:
    was = "ore" if w.ore else "gangue"
    return f"{_capital(MODELS[w.model].title)}, {w.block}: probability of ore {w.probability:.3f}; it was {was}."


def _words(result: OreResult, w: Waterfall) -> list[str]:
    known = {v.name: v for v in result.data.variables}
    return [value_text(known[name], value) for name, value in zip(w.names, w.values, strict=True)]


def value_text(variable: Variable, value: float) -> str:
    """Write a value as people do: the class's word, or a number with its unit."""
    if np.isnan(value):
        return "missing"
    return variable.word(value) if variable.kind == "class" else f"{number(value, 3)} {variable.unit}"


def study(result: OreResult) -> Section:
    """Every figure of the study beside this run's."""
    rows = [
        [b.what, b.study, b.random, b.grouped, {True: "pass", False: "warn", None: "not judged"}[b.agrees], b.why]
        for b in result.beside
    ]
    agree = sum(b.agrees is True for b in result.beside)
    lead = (
        f"{CITATION}. Of {len(rows)} figures {agree} agree: within two standard errors of the test blocks or 0.01, "
        "whichever is more, a correlation within 0.05, an order if it is the same. The study splits at random, so its "
        "figures are held against the random split; beside it what whole holes apart give."
    )
    if result.data.simulated:
        lead += " The deposit is SIMULATED after the study's own words: agreement shows that the software works."
    header = ("figure", "study", "here, at random", "here, by hole", "verdict", "note")
    return Section("study", "Beside the study", paragraph(lead, "lead") + table(header, rows, left=4))


def statistics(result: OreResult) -> Section:
    """Descriptive statistics before and after standardising, class frequencies in percent."""
    e = result.exploration
    header, rows = statistics_rows(result)
    lead = (
        f"{number(e.rows)} blocks, {e.ore_percent:.1f} % of them ore. Bounds count as half a lower limit and as an "
        "upper limit (below, above: how many). Nothing is imputed here; models impute the median and mark it, inside "
        "each fold."
    )
    body = paragraph(lead, "lead") + table(header, rows, left=2)
    if e.frequencies:
        svg = draw_frequencies(e.frequencies, result.data.simulated)
        header, rows = frequency_rows(result)
        body += figures([figure(svg, "Class frequencies in percent."), table(header, rows, left=2)])
    return Section("statistics", "The table", body)


def correlation(result: OreResult) -> Section:
    """Pearson's and Spearman's matrices."""
    e, simulated = result.exploration, result.data.simulated
    text = (
        "Pearson's r takes Low, Medium, High for 1, 2, 3 at equal distances, which nobody measured; Spearman's ranks "
        "do not. Pairs of rows where both values are known."
    )
    items = [
        figure(draw_matrix(e.names, e.pearson, "Pearson's r", simulated), "Pearson's r."),
        figure(draw_matrix(e.names, e.spearman, "Spearman's ranks", simulated), "Spearman's ranks."),
    ]
    return Section("correlations", "Correlations", paragraph(text, "lead") + figures(items))


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
