"""The methods that reports and benchmarks compare, by name."""

from __future__ import annotations

from collections.abc import Callable

from .baselines import PartialLeastSquares, RandomForest, SupportVectors
from .default import DefaultModel
from .method import Method
from .published import PublishedNetwork

BASELINES = ("PLSR", "SVR", "random forest")
"""What another method must be at least as good as."""

PUBLISHED = "published network"

METHODS: dict[str, Callable[[bool], Method]] = {
    "PLSR": PartialLeastSquares,
    "SVR": SupportVectors,
    "random forest": RandomForest,
    "default": DefaultModel,
    PUBLISHED: PublishedNetwork,
}
"""Name -> what makes the method; its argument says whether it is to be fast (smaller grids, fewer epochs)."""
