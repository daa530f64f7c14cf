"""Support vector regression for devices: one preprocessing block, and a network of radial units as the stack is."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ..crossval.decision import unexplained
from ..crossval.rows import TrainingRows
from .blocks import VARIANTS
from .stack import FAST_CONFIG, Config, Stack, StackModel

ALONE = 1e8
"""Rows that a prior is worth to which a stack keeps: support vectors alone."""


@dataclass(frozen=True)
class Svr(Stack):
    """Support vectors on the block with the lowest loss in the inner folds; C and gamma by the same folds."""

    key: ClassVar[str] = "svr"
    name: ClassVar[str] = "SVR for devices"
    about: ClassVar[str] = "support vector regression on the preprocessing block that inner folds choose"

    def for_learning_curve(self) -> Svr:
        """Give the method with its fast settings."""
        return Svr(fast=True, recipe=self.recipe)

    def fit_whole(self, rows: TrainingRows) -> StackModel:
        """Fit one model of all rows."""
        usual = replace(
            FAST_CONFIG if self.fast else Config(), powers=(0.0,), averaged=1, linear_share=0.0, prior_rows=ALONE
        )
        configs = [replace(usual, variants=(variant,), variants_of_many=(variant,)) for variant in VARIANTS]
        stacks = [Stack(fast=self.fast, config=config, decide_by=self.decide_by) for config in configs]
        if self.recipe is not None:
            own = self.recipe.one_by_one()
            stacks = [Stack(self.fast, recipe=one, config=usual, decide_by=self.decide_by) for one in own]
        best: tuple[float, StackModel] | None = None
        for stack in stacks:
            model = stack.fit_whole(rows)
            loss = unexplained(model.out_of_fold, rows.target, self.decide_by)
            if best is None or loss < best[0]:
                best = loss, model
        assert best is not None
        return best[1]
