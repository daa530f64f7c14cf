"""The files that say what a laboratory found, and how well it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .certified import Certificate, read_certificates
from .table import AssayTable, read_assay_table


@dataclass(frozen=True)
class AssayFiles:
    """What `--assays`, `--quality-control` and `--certified` name.

    Attributes:
        assays: laboratory values.
        controls: blanks, reference materials and duplicates that stand in files of their own.
        certified: certified values of the reference materials; None for none.
    """

    assays: str
    controls: tuple[str, ...] = ()
    certified: str | None = None

    @property
    def name(self) -> str:
        """Of the file of laboratory values, without its folder."""
        return Path(self.assays).name

    def table(self) -> AssayTable:
        """Read everything as one table.

        Raises:
            AssayFileError: a file cannot be used.
        """
        return read_assay_table(self.assays, *self.controls)

    def certificates(self) -> Mapping[str, Certificate] | None:
        """Read the certified values.

        Raises:
            AssayFileError: the file cannot be used.
        """
        return None if self.certified is None else read_certificates(self.certified)

    def check(self) -> None:
        """Read all once, before hours are spent on what is to be reported beside it.

        Raises:
            AssayFileError: a file cannot be used.
        """
        self.table()
        self.certificates()
