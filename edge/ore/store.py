"""Calls made at the face, kept in the log of readings: what was logged by eye is nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

from .. import __version__
from ..log.columns import ORE_CALLS
from ..log.write import Log, now
from .answer import Answer
from .bundle import OreBundle
from .face import Known


def store_call(log: Log, bundle: OreBundle, answer: Answer, known: Sequence[Known], remarks: Sequence[str]) -> None:
    """Store one call; when this returns it is on disk.

    Raises:
        LogError: nothing was stored.
    """
    row = {
        "stored_at": now(),
        "software": f"stibium {__version__}",
        "model": bundle.name,
        "model_sha256": bundle.sha256,
        "scenario": bundle.scenario.name,
        "sample_id": answer.id,
        "probability": answer.probability,
        "low": answer.low,
        "high": answer.high,
        "threshold": bundle.threshold,
        "decision": answer.decision,
        "reason": answer.reason,
        "flags": (*answer.flags, *remarks),
        "inputs": {
            k.variable.name: {"value": k.value, "low": k.low, "high": k.high, "words": k.words, "source": k.source}
            for k in known
        },
        "contributions": {"base": answer.base} | {c.variable: c.amount for c in answer.contributions},
        "simulated": answer.simulated,
    }
    log.add([], also=lambda db: ORE_CALLS.insert(db, **row))
