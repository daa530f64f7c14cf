"""The commands that `stibium ore` has on the training side, by the names of its entry points."""

from __future__ import annotations

from .cli_simulate import simulate
from .cli_train import train
from .cli_use import evaluate, export

__all__ = ["evaluate", "export", "simulate", "train"]
