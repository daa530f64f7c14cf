"""A light MobileNetV2 that is taught by another model: what `stibium train` makes where it is not told otherwise.

A teacher is fitted to the training rows and to disturbed copies of them (`steadied`). Thousands of synthetic spectra
are made from these rows alone, the teacher says what each would hold, and the network learns that (`synthetic`,
`student`). It is then quantised, and answers everywhere, in the folds of a validation as on a device, in the device's
runtime.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ...converters.models.apart import Converted
from ...converters.models.quantise import Quantisation, convert, convert_keras
from ...converters.spectra.spectrum import Floats
from ...edge.model.presets import Preprocessing
from ...edge.model.recipe import Blocks
from ...edge.model.runtime import Runtime
from ...edge.model.scaling import Scaling
from ...edge.model.target import Transform, forward, inverse
from ..crossval.decision import DecideBy, unexplained
from ..crossval.rows import TrainingRows
from ..errors import TrainingDataError
from ..samples import Samples
from .blocks import block_scaling, blocks_on
from .common import refuse_spectrogram, transforms_for
from .faults import FAULTS
from .library import helped
from .method import CrossValidated, ModelFile, TrainingTask, asked, rows_of
from .rounding import MOST_ADDED, added_by_rounding, grade_limits, rows_by_grade
from .stack import Stack
from .steadied import Steadied
from .student import CLIP, Rows, StudentConfig, Taught, answers, teach
from .synthetic import ASD_JOINS_NM, Synthesis, absorbance_of, disturb, synthetic_spectra
from .teachers import TeachingPredictor, find_teacher
from .teachers_of_water import of_dry_and_wet
from .tensorflow_setup import quiet

REPRESENTATIVE_ROWS = 400
USUALLY_MISSED = 0.2
"""What a student misses its teacher by, as a share of the target's spread in the space that it learns in."""
MOST_MOVED = 0.07
"""Share of the target's variance that noise of 0.05 % may move answers by; else another student is taught, whose
teacher is told less of the noise."""
NOISY_ROWS = 300
FAST_STUDENT = StudentConfig(steps=250)
FAST_SYNTHESIS = Synthesis(mixtures=3000, most_copies=2000)


@dataclass(frozen=True, eq=False)
class DistilledModel:
    """A student with its preprocessing, quantised; see `method.DeviceModel`.

    Attributes:
        recipe: preprocessing blocks.
        wavelengths_nm, splices_nm: of the spectra that `predict` takes.
        scaling: of the features.
        transform: of the target, that the student learned in.
        calibrated_range: in the target's unit.
        taught: the network as Keras has it.
        representative: (m, features) scaled rows by which it is quantised.
        quantisation: format of `runtime`.
        runtime: the device's, with the quantised network.
        teacher: its choices in words.
        told: share of the noise that it was told, see `synthetic.Synthesis`; None where rows were not disturbed.
    """

    recipe: Blocks
    wavelengths_nm: Floats
    splices_nm: tuple[float, ...]
    scaling: Scaling
    transform: Transform
    calibrated_range: tuple[float, float]
    taught: Taught
    representative: Rows
    quantisation: Quantisation
    runtime: Runtime
    teacher: str
    told: float | None = None

    @property
    def parameters(self) -> int:
        """Numbers that the network holds."""
        return int(self.taught.model.count_params())

    @property
    def chosen(self) -> str:
        """What was chosen in making it, in words."""
        made = f"{self.quantisation}, {self.parameters} parameters, ridge {self.taught.penalty:g}"
        return f"{made}; taught by {self.teacher}"

    @property
    def record(self) -> dict[str, Any]:
        """What a run says of the way it was made, as JSON values."""
        return {
            "taught_by": self.teacher,
            "quantisation": self.quantisation,
            "ridge": self.taught.penalty,
            "rmse_to_teacher": self.taught.error,
            "share_of_noise_told": self.told,
        }

    def predict(self, reflectance: Floats) -> Floats:
        """Predict (n,) values in the target's unit, within the calibrated range, from (n, bands) reflectance."""
        features = self.recipe.preprocess(reflectance, self.wavelengths_nm, self.splices_nm).features
        return np.clip(inverse(self.answer(features), self.transform), *self.calibrated_range)

    def answer(self, features: Floats) -> Floats:
        """Answer (n,) in the transform's space, for (n, features) that are not scaled, as a device does."""
        return self.runtime.run(self.scaling.apply(features))

    def save(self, path: Path) -> None:
        """Write the Keras model down."""
        self.taught.model.save(path)

    def weights_sha256(self) -> str:
        """Hash of its weights."""
        digest = hashlib.sha256()
        for weights in self.taught.model.get_weights():
            digest.update(np.ascontiguousarray(weights).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class MobileNetV2(CrossValidated):
    """The method; `fast` has fewer synthetic spectra and steps, and a fast teacher.

    Attributes:
        teacher: name of a method, or `package.module:Class` of a scikit-learn regressor.
        student, synthesis: see there; None for the usual ones.
        library: other people's soils that may help the teacher; see `library`.
        water: (q, bands) of absorbance, on the training's bands, that water changes in soils: half of the synthetic
            spectra are made wet, and there is a second teacher, for what is not dry; see `teachers_of_water`.
        corrected: preprocessing that takes water out, for the second teacher.
    """

    teacher: str = field(
        default="stack",
        metadata=asked("what teaches the network: a method, or package.module:Class of a scikit-learn regressor"),
    )
    student: StudentConfig | None = None
    synthesis: Synthesis | None = None
    library: Samples | None = None
    water: Floats | None = None
    corrected: Preprocessing | None = None
    key: ClassVar[str] = "mobilenetv2"
    name: ClassVar[str] = "MobileNetV2"
    about: ClassVar[str] = "a light MobileNetV2, taught by another model and quantised"
    file_name: ClassVar[str] = "model.keras"
    formats: ClassVar[tuple[Quantisation, ...]] = ("int8", "int16x8", "float16")

    def __post_init__(self) -> None:
        refuse_spectrogram(self.key, self.recipe)
        if self.recipe is not None and len(set(self.recipe.blocks.sizes)) > 1:
            sizes = ", ".join(map(str, self.recipe.blocks.sizes))
            raise TrainingDataError(
                f"recipe {self.recipe.name}: its blocks leave {sizes} bands, and {self.key} takes blocks of one size, "
                "as keep_nm and cut make them; --method stack takes any"
            )

    def for_learning_curve(self) -> Stack:
        """Give the stack with its fast settings: what can be taught at each number of samples."""
        return Stack(fast=True, recipe=self.recipe)

    def make(self, task: TrainingTask) -> DistilledModel:
        """Make the model of all samples; see `DeviceMethod.make`."""
        return self.fit(rows_of(task))

    def to_tflite(self, stored: ModelFile, formats: Sequence[str], features: Floats) -> Converted:
        """Convert a stored network; see `DeviceMethod.to_tflite`."""
        return convert_keras(stored.path, formats, stored.calibration, scaled(stored.scaling, features))

    def fit(self, rows: TrainingRows) -> DistilledModel:
        """Fit teacher and student, and quantise; see `validation.Method.fit`."""
        teacher = self.teacher_of(rows)
        synthesis = self.synthesis or (FAST_SYNTHESIS if self.fast else Synthesis())
        for share in synthesis.told:
            model = self._taught(teacher, rows, synthesis, share)
            if moved_by_noise(model, rows) <= MOST_MOVED:
                break
        return model

    def _taught(
        self, teacher: TeachingPredictor, rows: TrainingRows, synthesis: Synthesis, share: float
    ) -> DistilledModel:
        """Teach and quantise a student whose teacher is told a share of the noise."""
        reflectance, nm, target, splices_nm = rows.reflectance, rows.wavelengths_nm, rows.target, rows.splices_nm
        rng = np.random.default_rng(rows.seed)
        blocks = self.recipe.blocks if self.recipe is not None else blocks_on(nm)
        own = rows.features(blocks)
        scaling = block_scaling(own, blocks.sizes)
        made, labels = [], []
        for told, seen in synthetic_spectra(reflectance, nm, splices_nm, synthesis, share, rng, self.water):
            made.append(scaled(scaling, blocks.preprocess(seen, nm, splices_nm).features))
            labels.append(teacher.predict(told))
        config = self.student or (FAST_STUDENT if self.fast else StudentConfig())
        distilled = distil(
            np.concatenate(made),
            np.concatenate(labels),
            scaled(scaling, own),
            target,
            teacher.out_of_fold[:, : target.size],
            len(blocks.sizes),
            config,
            rows.seed,
            self.decide_by,
        )
        return DistilledModel(
            recipe=blocks,
            wavelengths_nm=nm,
            splices_nm=splices_nm,
            scaling=scaling,
            transform=distilled.transform,
            calibrated_range=(float(target.min()), float(target.max())),
            taught=distilled.taught,
            representative=distilled.representative,
            quantisation=distilled.quantisation,
            runtime=distilled.runtime,
            teacher=teacher.chosen,
            told=share,
        )

    def teacher_of(self, rows: TrainingRows) -> TeachingPredictor:
        """Fit the teacher, steadied by copies of the rows; see `fit`."""

        def steadied(recipe: Preprocessing | None) -> Steadied:
            return Steadied(find_teacher(self.teacher, self.fast, self.decide_by, recipe), self.fast)

        teacher = steadied(self.recipe)
        if self.library is not None:
            return helped(teacher, rows, self.library)
        if self.water is None or self.corrected is None:
            return teacher.fit(rows)
        return of_dry_and_wet(teacher.fit(rows), steadied(self.corrected).fit(rows), rows, self.water)


def space_to_learn_in(out_of_fold: Floats, target: Floats, decide_by: DecideBy) -> Transform:
    """Choose the transform in whose space what a student misses its teacher by costs the least of what users decide by.

    A student misses its teacher by about the same everywhere in the space that it learns in. Of a square root that is
    much for a low grade's logarithm, of a logarithm much for a high grade in its unit.

    Args:
        out_of_fold: (repeats, n) the teacher's, in the unit.
        target: (n,) in the unit.
        decide_by: see `decision.unexplained`.
    """
    low, high = float(target.min()), float(target.max())

    def cost(transform: Transform) -> float:
        z = forward(np.clip(out_of_fold, low, high), transform)
        missed = USUALLY_MISSED * forward(target, transform).std()
        answers = (np.clip(inverse(z + sign * missed, transform), low, high) for sign in (-1, 1))
        return sum(unexplained(answer, target, decide_by) for answer in answers)

    return min(transforms_for(target), key=cost)


def moved_by_noise(model: DistilledModel, rows: TrainingRows) -> float:
    """Give the mean square that noise of 0.05 % moves answers by, over the variance of what the rows hold.

    Both in the space that the student learned in. Noise has nothing to do with what a model errs by, so this is
    about what R2 loses by it.
    """
    again = max(1, round(NOISY_ROWS / len(rows)))
    absorbance = absorbance_of(np.tile(rows.reflectance, (again, 1)))
    joins = rows.splices_nm or ASD_JOINS_NM
    rng = np.random.default_rng((rows.seed, 4))
    noisy = disturb(absorbance, rows.wavelengths_nm, joins, FAULTS["noise 0.05 %"], rng)
    seen = model.recipe.preprocess(noisy, rows.wavelengths_nm, rows.splices_nm).features
    moved = model.answer(seen) - np.tile(model.answer(rows.features(model.recipe)), again)
    return float(np.mean(moved**2) / (forward(rows.target, model.transform).var() or 1.0))


@dataclass(frozen=True, eq=False)
class Distilled:
    """A quantised student; see `DistilledModel`. `model` is its flatbuffer."""

    transform: Transform
    taught: Taught
    representative: Rows
    quantisation: Quantisation
    model: bytes
    runtime: Runtime


def distil(
    synthetic: Rows,
    labels: Floats,
    own: Rows,
    target: Floats,
    out_of_fold: Floats,
    blocks: int,
    config: StudentConfig,
    seed: int,
    decide_by: DecideBy = "both",
) -> Distilled:
    """Teach a student, and quantise it in the smallest format that rounds little.

    Args:
        synthetic: (m, features) scaled rows.
        labels: (m,) what the teacher says of them, in the unit.
        own: (n, features) scaled rows of the training.
        target: (n,) in the unit.
        out_of_fold: (repeats, n) the teacher's, in the unit: what rounding is held against, and the space chosen by.
        blocks: that the features are of, of one size.
        config: of the student.
        seed: of weights and batches.
        decide_by: what the answers are for.
    """
    transform = space_to_learn_in(out_of_fold, target, decide_by)
    z = forward(labels, transform)
    taught = teach(synthetic, z, blocks, config, seed)
    low, high = float(target.min()), float(target.max())

    def in_unit(z: Floats) -> Floats:
        return np.clip(inverse(z, transform), low, high)

    representative = spanning(synthetic, z, REPRESENTATIVE_ROWS)
    exact = in_unit(answers(taught.model, own))
    for quantisation in MobileNetV2.formats:
        with quiet():
            model = convert(taught.model, quantisation, representative)
            runtime = Runtime(model)
        if _rounds_little(in_unit(runtime.run(own)) - exact, out_of_fold - target, target):
            break
    return Distilled(transform, taught, representative, quantisation, model, runtime)


def scaled(scaling: Scaling, features: Floats) -> Rows:
    """Scale features as a student takes them."""
    return np.clip(scaling.apply(features), -CLIP, CLIP).astype(np.float32)


def spanning(rows: Rows, labels: Floats, count: int) -> Rows:
    """Choose rows for a quantised network's ranges: half evenly by label, half those that are farthest out."""
    order = np.argsort(labels, kind="stable")
    evenly = order[np.unique(np.linspace(0, len(order) - 1, count // 2).round().astype(np.intp))]
    farthest = np.argsort(-np.sum(np.square(rows, dtype=np.float64), axis=1), kind="stable")[: count // 2]
    return np.asarray(rows[np.unique(np.concatenate([evenly, farthest]))])


def _rounds_little(rounding: Floats, errors: Floats, target: Floats) -> bool:
    """Say whether rounding (n,) adds little to errors (repeats, n) at any grade of the target (n,)."""
    return all(
        added_by_rounding(rounding[rows], errors[:, rows]) <= MOST_ADDED
        for rows in rows_by_grade(target, grade_limits(target))
    )
