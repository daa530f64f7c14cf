"""Files and folders of a command line: everything in order, and one bad file stops nothing."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from drop_files import asd_bytes, soil, table_lines
from stibium.converters.spectra import read
from stibium.converters.spectra.errors import OnBad
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge import files
from stibium.edge.files import iter_spectra, read_file
from stibium.edge.model.estimate import Refusal


def names(paths: list[Path]) -> list[str]:
    """What comes out: the sample of a spectrum, "refused" and the file's name of a refusal."""
    return [
        f"refused {Path(item.source).name}" if isinstance(item, Refusal) else item.sample_id
        for item in iter_spectra(paths)
    ]


def reason(path: Path) -> str:
    (item,) = iter_spectra([path])
    assert isinstance(item, Refusal), item
    assert item.source == str(path)
    assert "\n" not in item.reason
    return item.reason


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "soils"
    (made / "b" / "deep").mkdir(parents=True)
    for i, name in enumerate(["c.asd", "a.asd", "b/z.asd", "b/deep/y.asd"]):
        (made / name).write_bytes(asd_bytes(i))
    return made


def test_a_folder_is_read_recursively_in_the_order_of_names(folder: Path) -> None:
    assert names([folder]) == ["a", "y", "z", "c"]
    assert names([folder / "c.asd", folder / "b", folder / "a.asd"]) == ["c", "y", "z", "a"]


def test_a_bad_file_is_refused_in_its_place(folder: Path) -> None:
    (folder / "a2.asd").write_bytes(asd_bytes()[:5000])
    (folder / "bad.txt").write_bytes(b"nothing of the kind")
    (folder / "empty.asd").touch()
    assert names([folder]) == ["a", "refused a2.asd", "y", "z", "refused bad.txt", "c", "refused empty.asd"]


def test_hidden_and_temporary_files_are_passed_over_in_folders(folder: Path) -> None:
    for name in (
        ".a.asd",
        "x.asd.part",
        "x.tmp",
        "x.TMP",
        "x.asd~",
        "~$x.asd",
        "x.crdownload",
        "Thumbs.db",
        "README.txt",
    ):
        (folder / name).write_bytes(asd_bytes())
    (folder / ".Trash-1000").mkdir()
    (folder / ".Trash-1000" / "gone.asd").write_bytes(asd_bytes())
    assert names([folder]) == ["a", "y", "z", "c"]
    # Who names a file means it.
    assert names([folder / "x.asd.part"]) == ["x.asd"]


def test_files_are_read_one_at_a_time(folder: Path) -> None:
    items = iter_spectra([folder])
    assert isinstance(next(items), Spectrum)
    shutil.rmtree(folder / "b")
    (folder / "c.asd").unlink()
    left = list(items)
    assert [type(item) for item in left] == [Refusal, Refusal]


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "no such file" in reason(tmp_path / "missing.asd").lower()


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.asd")
    assert "pipe" in reason(tmp_path / "pipe.asd")
    assert "device" in reason(Path("/dev/zero"))


def test_a_file_that_gives_an_input_error_is_refused() -> None:
    assert "Input/output error" in reason(Path("/proc/self/mem"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_refused(folder: Path) -> None:
    (folder / "a.asd").chmod(0)
    (folder / "b").chmod(0)
    try:
        assert names([folder]) == ["refused a.asd", "refused b", "c"]
        assert "Permission denied" in reason(folder / "a.asd")
    finally:
        (folder / "b").chmod(0o700)


def test_a_loop_of_links_ends(folder: Path) -> None:
    (folder / "b" / "again").symlink_to(folder, target_is_directory=True)
    (folder / "nowhere").symlink_to(folder / "missing")
    assert names([folder]) == ["a", "y", "z", "c", "refused nowhere"]


def test_a_name_that_is_no_utf8_can_be_printed_and_stored(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/sol\xe9.asd"
    with open(path, "wb") as file:
        file.write(asd_bytes())
    with open(os.fsencode(tmp_path) + b"/sol\xe8.asd", "wb") as file:
        file.write(b"bad")
    bad, good = iter_spectra([tmp_path])
    assert isinstance(good, Spectrum)
    assert isinstance(bad, Refusal)
    assert good.sample_id == "sol?"
    for text in (good.source, bad.source, bad.reason):
        text.encode("utf-8")


def test_a_bad_row_costs_one_row(tmp_path: Path) -> None:
    path = tmp_path / "soils.csv"
    lines = table_lines(["A", "B", "C", "D"])
    lines[2] = lines[2].replace(b",0.", b",x.", 1)
    path.write_bytes(b"".join(lines))
    assert names([path]) == ["A", "refused soils.csv", "C", "D"]
    assert [type(item) for item in read_file(str(path))] == [Spectrum, Refusal, Spectrum, Spectrum]
    path.write_bytes(b"".join(lines)[:-40])
    assert names([path]) == ["A", "refused soils.csv", "C", "refused soils.csv"]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_table_is_read_row_by_row(tmp_path: Path, pack, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "soils.csv.gz"
    path.write_bytes(pack(b"".join(table_lines([f"S{i}" for i in range(50)]))))
    # A table is not held in memory, so no size is too large for it; whoever wants it whole is told.
    monkeypatch.setattr(files, "MANY_BYTES", 1000)
    assert names([path]) == [f"S{i}" for i in range(50)]
    (refusal,) = read_file(str(path))
    assert isinstance(refusal, Refusal)
    assert "split it" in refusal.reason


def test_an_envi_library_is_read_once(tmp_path: Path) -> None:
    from stibium.converters.spectra.library_write import write_envi

    write_envi(tmp_path / "lib.hdr", [soil("A"), soil("B", 1)])
    (tmp_path / "lib.asd").write_bytes(asd_bytes(2))
    assert names([tmp_path]) == ["lib", "A", "B"]
    assert names(sorted(tmp_path.glob("lib.*"))) == ["lib", "A", "B"]


def peak_bytes(path: Path) -> int:
    tracemalloc.start()
    try:
        list(iter_spectra([path]))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [30 << 20, 1 << 30])
def test_a_large_file_of_something_else_is_refused_unread(tmp_path: Path, size: int) -> None:
    path = tmp_path / "film.asd"
    with path.open("wb") as file:
        file.write(asd_bytes())
        file.truncate(size)
    assert "MB" in reason(path)
    assert peak_bytes(path) < 1 << 20


def test_a_large_text_without_lines_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_bytes(b"a" * (20 << 20))
    assert "MB" in reason(path)
    assert peak_bytes(path) < 1 << 20


@pytest.mark.parametrize("start", [b"", b"sample_id,350,351\n"])
def test_a_small_file_that_unpacks_to_a_large_one_is_refused(
    tmp_path: Path, start: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("SINGLE_BYTES", "TEXT_BYTES", "MANY_BYTES"):
        monkeypatch.setattr(files, limit, getattr(files, limit) // 8)
    path = tmp_path / "bomb.csv.gz"
    with gzip.open(path, "wb", compresslevel=9) as file:
        file.write(start)
        for _ in range(40):
            file.write(bytes(1 << 20))
    assert path.stat().st_size < 1 << 18
    tracemalloc.start()
    (refusal,) = read_file(str(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(refusal, Refusal)
    assert "unpacked more than" in refusal.reason
    assert peak < 6 << 20


def test_a_defect_in_a_reader_stops_nothing_and_says_what_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = read.iter_spectra

    def defective(path: str, on_bad: OnBad | None = None) -> Iterator[Spectrum]:
        if path.endswith("c.asd"):
            raise ZeroDivisionError("division by zero")
        return real(path, on_bad)

    monkeypatch.setattr(read, "iter_spectra", defective)
    assert names([folder]) == ["a", "y", "z", "refused c.asd"]
    assert "unexpected ZeroDivisionError: division by zero" in reason(folder / "c.asd")
    monkeypatch.setenv("STIBIUM_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        list(iter_spectra([folder]))


def test_very_deep_folders_and_links_in_circles_are_walked_once(tmp_path: Path) -> None:
    root = tmp_path / "r"
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for name in ["r", *["d"] * 1200]:
            os.mkdir(name, dir_fd=here)
            inner = os.open(name, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = inner
        with open("x.asd", "wb", opener=lambda name, flags: os.open(name, flags, dir_fd=here)) as file:
            file.write(asd_bytes())
    finally:
        os.close(here)
    (root / "a").mkdir()
    (root / "b").mkdir()
    (root / "a" / "to_b").symlink_to(root / "b")
    (root / "b" / "to_a").symlink_to(root / "a")
    (root / "b" / "self").symlink_to(root / "b")
    (root / "b" / "y.asd").write_bytes(asd_bytes(1))
    (tmp_path / "outside.asd").write_bytes(asd_bytes(2))
    (root / "out.asd").symlink_to(tmp_path / "outside.asd")
    assert names([root]) == ["refused out.asd", "y", "x"]
    subprocess.run(["rm", "-r", root], check=True)  # Python's own way would recurse


def test_a_spectrum_of_two_samples_is_remarked_and_one_of_the_same_sample_is_not(tmp_path: Path) -> None:
    for name, seed in (("A_00001.asd", 0), ("A_00002.asd", 0), ("B_00001.asd", 0), ("C_00001.asd", 1)):
        (tmp_path / name).write_bytes(asd_bytes(seed))
    found = {Path(item.source).name: item.remarks for item in iter_spectra([tmp_path]) if isinstance(item, Spectrum)}
    assert {name for name, remarks in found.items() if any("the same spectrum as" in r for r in remarks)} == {
        "B_00001.asd"
    }
    assert "the same spectrum as sample A, so one of the two names is wrong" in found["B_00001.asd"]


def test_a_name_in_another_spelling_is_remarked_and_another_name_is_not(tmp_path: Path) -> None:
    names = ("RS001", "RS001b", "RS1", "RS_01", "rs001", "RS1-1", "RS11", "RS1.10", "RS1_1", "S 0.5 mm", "S 0.05 mm")
    paths = [tmp_path / f"{name}.asd" for name in names]
    for seed, path in enumerate(paths):
        path.write_bytes(asd_bytes(seed))
    found = {item.sample_id: item.remarks for item in iter_spectra(paths) if isinstance(item, Spectrum)}
    assert {name: remarks for name, remarks in found.items() if remarks} == {
        "RS1": ("an earlier sample is called RS001: if it is the same soil, write both alike",),
        "RS_01": ("an earlier sample is called RS001: if it is the same soil, write both alike",),
        "rs001": ("an earlier sample is called RS001: if it is the same soil, write both alike",),
        "RS1_1": ("an earlier sample is called RS1-1: if it is the same soil, write both alike",),
    }
