"""A reading and what came of it as a record, whether it has just been taken or is read from the log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..model.estimate import Estimate, Refusal
from ..record import (
    SOFTWARE,
    CorrectionRecord,
    EstimateRecord,
    ReadingRecord,
    RefusalRecord,
    distrusted,
    estimate_record,
    reading_flags,
    rounded,
)
from .columns import NOTHING_MORE, TOLD, Reading, StoredCorrection, StoredModel
from .corrections import in_words, soil_key
from .write import Result

_SHARED = set(ReadingRecord._fields) & set(Reading._fields)
_NOT_YET_STORED = {"software": SOFTWARE, "spectrum_sha256": None}


def record_of(result: Result, model: StoredModel) -> ReadingRecord:
    """Put down a result, as the log will give it.

    Args:
        result: as `Engine.take` returns it; one that is not stored has no row and no time.
        model: whose answer it is.
    """
    spectrum, about, at = result.spectrum, result.about or NOTHING_MORE, result.stored_at
    said = None
    if spectrum is not None:
        settings = {**spectrum.extra, **about.settings}
        said = TOLD.taken(spectrum, about, id=result.reading_id, stored_at=at, settings=settings, **_NOT_YET_STORED)
    # As `Log.add` has it: what broke a rule was refused by no model in particular.
    judged = said is not None and not about.rule_broken
    answers = [
        (outcome, by if judged or isinstance(outcome, Estimate) else None, at, SOFTWARE)
        for by, outcome in ((model, result.outcome), *result.others)
    ]
    return put_down(said, answers, about.session_id)


def put_down(
    said: Mapping[str, Any] | None,
    answers: Iterable[tuple[Estimate | Refusal, StoredModel | None, str, str]],
    session: int | None,
    soil: str = "",
    void: str = "",
    history: Sequence[StoredCorrection] = (),
) -> ReadingRecord:
    """Make a record.

    Args:
        said: values of `Reading` by name; None where nothing was read.
        answers: what came of it, whose say that was, when and by what program it was made.
        session: that it belongs to.
        soil: see `ReadingRecord`; made of session and sample if it is not given.
        void: why the reading does not count; "" if it does. Nothing of it is to be trusted then.
        history: what was said of it afterwards.
    """
    estimates: list[EstimateRecord] = []
    answers = list(answers)
    # Of what several answered at once nobody says whose the reading's index is.
    alone = said is not None and [at for _, _, at, _ in answers].count(said["stored_at"]) == 1
    refusals: list[RefusalRecord] = []
    for outcome, model, at, software in answers:
        name, sha256 = (model.name, model.sha256) if model else ("", "")
        made = {"software": software, "model": name, "model_sha256": sha256}
        if isinstance(outcome, Refusal):
            refusals.append(RefusalRecord(outcome.reason, at, **made))
            unread = {"sample_id": outcome.sample_id, "source": outcome.source}
        else:
            calibrated_range = model.calibrated_range if model else None
            if said is not None and alone and outcome.water_index is None and at == said["stored_at"]:
                # Before version 7 of the log only readings had one, by the first model that said so.
                outcome = outcome._replace(water_index=said["water_index"])
            one = estimate_record(outcome, calibrated_range, estimated_at=at, **made)
            estimates.append(distrusted(one, void) if void else one)
    about: dict[str, Any]
    if said is None:
        about = {**unread, "stored_at": refusals[0].refused_at or None}
    else:
        about = {name: said[name] for name in _SHARED}
        about["reading"] = said["id"]
        about["stored_at"] = said["stored_at"] or None
        about["measured_at"] = said["measured_at"].isoformat() if said["measured_at"] else None
        about["condition"] = said["condition"] or ""
        about["water_index"] = rounded(said["water_index"])
        about["flags"] = reading_flags(said["settings"], said["simulated"])
    name, number = about["sample_id"], about.get("reading")
    return ReadingRecord(
        **about,
        status="estimated" if estimates else "refused",
        session=session,
        estimates=tuple(estimates),
        refusals=tuple(refusals),
        reason="" if estimates else "; ".join(dict.fromkeys(refusal.reason for refusal in refusals)),
        soil=soil or soil_key(name, session, number),
        void=void,
        corrections=tuple(_correction(one) for one in history),
    )


def _correction(one: StoredCorrection) -> CorrectionRecord:
    return CorrectionRecord(one.id, one.at, one.kind, one.value, one.who, one.undone, in_words(one))
