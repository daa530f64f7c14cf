"""The taught MobileNetV2 with one of its parts left out; in float, all with one teacher, which is fitted once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from stibium.edge.model.target import forward, inverse
from stibium.train.crossval.rows import TrainingRows
from stibium.train.methods.blocks import block_scaling, blocks_on
from stibium.train.methods.mobilenetv2 import MobileNetV2, scaled, space_to_learn_in
from stibium.train.methods.student import StudentConfig, answers, ridge, teach
from stibium.train.methods.synthetic import Synthesis, synthetic_spectra
from stibium.train.methods.teachers import TeachingPredictor

LINE = "shortcut without the blocks"
LINE_PENALTY = 1e-4
_teachers: dict[str, TeachingPredictor] = {}


@dataclass(frozen=True, eq=False)
class Part:
    """A predictor that is made of functions."""

    run: Callable[[np.ndarray], np.ndarray]
    chosen: str = ""

    def predict(self, reflectance: np.ndarray) -> np.ndarray:
        """Predict (n,) values in the target's unit from (n, bands) reflectance."""
        return self.run(reflectance)


@dataclass(frozen=True)
class StudentPart:
    """The method.

    Attributes:
        name: in the table.
        config: of the student; None is the shortcut alone.
        teacher_only: whether the teacher answers itself.
    """

    name: str
    config: StudentConfig | None
    teacher_only: bool = False

    def fit(self, rows: TrainingRows) -> Part:
        """Fit; see `Method.fit`."""
        reflectance, wavelengths_nm, target = rows.reflectance, rows.wavelengths_nm, rows.target
        splices_nm, seed = rows.splices_nm, rows.seed
        key = hashlib.sha256(reflectance.tobytes() + target.tobytes() + repr((rows.groups, seed)).encode()).hexdigest()
        if key not in _teachers:
            _teachers[key] = MobileNetV2().teacher_of(rows)
        teacher = _teachers[key]
        if self.teacher_only:
            return Part(teacher.predict)
        blocks = blocks_on(wavelengths_nm)

        def features(rows: np.ndarray) -> np.ndarray:
            return np.asarray(blocks.preprocess(rows, wavelengths_nm, splices_nm).features)

        scaling = block_scaling(features(reflectance), blocks.sizes)
        rows, labels = [], []
        for told, seen in synthetic_spectra(
            reflectance, wavelengths_nm, splices_nm, Synthesis(), Synthesis().told[0], np.random.default_rng(seed)
        ):
            rows.append(scaled(scaling, features(seen)))
            labels.append(teacher.predict(told))
        transform = space_to_learn_in(teacher.out_of_fold[:, : target.size], target, "both")
        x, z = np.concatenate(rows), forward(np.concatenate(labels), transform)
        if self.config is None:
            ((weights, intercept),) = ridge(x, z, (LINE_PENALTY,))
            answer = lambda taken: taken @ weights + intercept  # noqa: E731
        else:
            model = teach(x, z, len(blocks.sizes), self.config, seed).model
            answer = lambda taken: answers(model, taken)  # noqa: E731

        def run(new: np.ndarray) -> np.ndarray:
            found = inverse(answer(scaled(scaling, features(new))), transform)
            return np.clip(found, target.min(), target.max())

        return Part(run)


STUDENT = "MobileNetV2 as it is"
STUDENT_CHANGES: dict[str, Callable[[], StudentPart]] = {
    STUDENT: lambda: StudentPart(STUDENT, StudentConfig()),
    "blocks without the shortcut": lambda: StudentPart("blocks without the shortcut", StudentConfig(shortcut=False)),
    LINE: lambda: StudentPart(LINE, None),
    "its teacher": lambda: StudentPart("its teacher", None, teacher_only=True),
}
