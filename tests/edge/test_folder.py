"""The drop folder, with real files and a clock that the test moves."""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from drop_files import asd_bytes, soil, table_lines
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stibium.converters.spectra.spectrum import Spectrum
from stibium.edge import drop_folder as module
from stibium.edge.drop_folder import (
    GIVE_UP,
    DropFolder,
    age_s,
    list_folder,
    looks_unfinished,
    signature_of,
)
from stibium.edge.errors import LogError
from stibium.edge.log.taken import Piece, Taken, TakenMeanwhileError
from stibium.edge.log.write import Log
from stibium.edge.model.estimate import Refusal

SETTLE_S = 3.0
GIVE_UP_S = GIVE_UP * SETTLE_S


class Watch:
    """A watched folder, its log, and what came out of it."""

    def __init__(self, tmp_path: Path) -> None:
        self.path = tmp_path / "drop"
        self.path.mkdir(exist_ok=True)
        self.log_path = tmp_path / "log.db"
        self.now_s = 1000.0
        self.log = Log(self.log_path)
        self.notices: list[str] = []
        self.items: list[Spectrum | Refusal] = []
        self.restart()

    def restart(self) -> None:
        """As after a power cut: all that is left is the log and the folder."""
        self.log.close()
        self.log = Log(self.log_path)
        self.folder = self.another()

    def another(self) -> DropFolder:
        return DropFolder(
            str(self.path),
            Taken(self.log.database),
            SETTLE_S,
            notice=self.notices.append,
            clock=lambda: self.now_s,
        )

    def store(self, batch: list[Piece]) -> list[str]:
        self.log.add([], also=partial(self.folder.taken.mark, batch))
        self.folder.remember(batch)
        items = [item for piece in batch for item in piece.items]
        self.items += items
        return [label(item) for item in items]

    def poll(self) -> list[str]:
        return [text for batch in self.folder.poll() for text in self.store(batch)]

    def wait(self, seconds: float) -> list[str]:
        """Look four times a second for so long; give what was taken."""
        taken = self.poll()
        for _ in range(round(4 * seconds)):
            self.now_s += 0.25
            taken += self.poll()
        return taken

    def close(self) -> None:
        self.log.close()


def label(item: object) -> str:
    return f"refused {Path(item.source).name}" if isinstance(item, Refusal) else item.sample_id  # type: ignore[attr-defined]


def tick() -> None:
    """Let the file system's own clock move on: its times have a grain of some milliseconds."""
    time.sleep(0.02)


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    made = Watch(tmp_path)
    yield made
    made.close()


def test_a_file_is_taken_once_it_has_settled_and_never_again(watch: Watch) -> None:
    (watch.path / "a.asd").write_bytes(asd_bytes())
    assert watch.wait(SETTLE_S - 0.25) == []
    assert watch.wait(0.25) == ["a"]
    assert watch.wait(100) == []
    watch.restart()
    assert watch.wait(100) == []


def test_what_is_there_at_the_start_is_taken_in_the_order_of_names(watch: Watch) -> None:
    (watch.path / "sub").mkdir()
    for name in ("c", "sub/b", "a"):
        (watch.path / f"{name}.asd").write_bytes(asd_bytes())
    assert watch.wait(SETTLE_S) == ["a", "c", "b"]


def test_touching_copying_over_or_moving_away_and_back_is_nothing_new(watch: Watch, tmp_path: Path) -> None:
    path = watch.path / "a.asd"
    path.write_bytes(asd_bytes())
    assert watch.wait(SETTLE_S) == ["a"]
    os.utime(path, (1e9, 1e9))
    assert watch.wait(30) == []
    path.chmod(0o600)
    path.write_bytes(asd_bytes())
    assert watch.wait(30) == []
    path.rename(tmp_path / "elsewhere.asd")
    assert watch.wait(30) == []
    (tmp_path / "elsewhere.asd").rename(path)
    assert watch.wait(30) == []
    watch.restart()
    assert watch.wait(30) == []


def test_new_content_under_an_old_name_is_a_new_reading(watch: Watch, tmp_path: Path) -> None:
    path = watch.path / "a.asd"
    path.write_bytes(asd_bytes(1))
    assert watch.wait(SETTLE_S) == ["a"]
    (tmp_path / "new.asd").write_bytes(asd_bytes(2))
    (tmp_path / "new.asd").rename(path)
    assert watch.wait(30) == ["a"]
    # What was there before is known, even if something else was there meanwhile.
    path.write_bytes(asd_bytes(1))
    assert watch.wait(30) == []


def test_size_and_modification_time_of_the_old_file_do_not_hide_new_content(watch: Watch) -> None:
    path = watch.path / "a.asd"
    path.write_bytes(asd_bytes(1))
    os.utime(path, (1e9, 1e9))
    assert watch.wait(SETTLE_S) == ["a"]
    watch.restart()
    tick()
    path.write_bytes(asd_bytes(2))
    os.utime(path, (1e9, 1e9))
    assert watch.wait(30) == ["a"]


def test_old_modification_times_are_taken(watch: Watch) -> None:
    path = watch.path / "a.asd"
    path.write_bytes(asd_bytes())
    os.utime(path, (1e9, 1e9))
    assert watch.wait(30) == ["a"]


@pytest.mark.parametrize("pause_s", [0.5, SETTLE_S - 0.25, SETTLE_S + 1, GIVE_UP_S - 1])
def test_a_file_written_in_pieces_is_taken_when_it_is_whole(watch: Watch, pause_s: float) -> None:
    content = asd_bytes()
    with (watch.path / "a.asd").open("wb", buffering=0) as file:
        for start in range(0, len(content), len(content) // 5):
            file.write(content[start : start + len(content) // 5])
            if file.tell() < len(content):
                assert watch.wait(pause_s) == []
    assert watch.wait(GIVE_UP_S) == ["a"]
    assert watch.wait(30) == []


def test_a_file_left_half_written_is_refused_once_and_taken_when_it_is_completed(watch: Watch) -> None:
    content = asd_bytes()
    path = watch.path / "a.asd"
    path.write_bytes(content[:9000])
    assert watch.wait(GIVE_UP_S - 0.25) == []
    assert watch.wait(100) == ["refused a.asd"]
    watch.restart()
    assert watch.wait(100) == []
    os.utime(path)
    assert watch.wait(100) == []
    with path.open("ab") as file:
        file.write(content[9000:])
    assert watch.wait(100) == ["a"]


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("backwards", [True, False])
def test_a_file_that_got_its_size_first_is_taken_when_it_is_filled(watch: Watch, sparse: bool, backwards: bool) -> None:
    content = asd_bytes()
    with (watch.path / "a.asd").open("wb", buffering=0) as file:
        if sparse:
            file.truncate(len(content))
        else:
            file.write(bytes(len(content)))
        starts = list(range(0, len(content), 8192))
        for start in reversed(starts) if backwards else starts:
            assert watch.wait(SETTLE_S + 1) == []
            tick()
            file.seek(start)
            file.write(content[start : start + 8192])
    assert watch.wait(GIVE_UP_S) == ["a"]


@pytest.mark.parametrize("name", ["a.asd.part", ".a.asd.x3Kf", "a.tmp", "a.asd~", "~a.asd", "a.asd.crdownload"])
def test_a_temporary_name_is_not_read_until_it_is_renamed(watch: Watch, name: str) -> None:
    (watch.path / name).write_bytes(asd_bytes())
    assert watch.wait(30) == []
    (watch.path / name).rename(watch.path / "a.asd")
    assert watch.wait(30) == ["a"]


def test_an_empty_file_is_waited_for_then_refused_then_taken(watch: Watch) -> None:
    path = watch.path / "a.asd"
    path.touch()
    assert watch.wait(GIVE_UP_S - 0.25) == []
    assert watch.wait(30) == ["refused a.asd"]
    path.write_bytes(asd_bytes())
    assert watch.wait(30) == ["a"]


def test_a_table_that_grows_gives_each_row_once(watch: Watch) -> None:
    lines = table_lines([f"S{i}" for i in range(6)])
    path = watch.path / "soils.csv"
    with path.open("wb", buffering=0) as file:
        file.write(b"".join(lines[:3]))
        assert watch.wait(30) == ["S0", "S1"]
        # Cut within a number, the row would read as another one.
        file.write(lines[3] + lines[4][:-5])
        assert watch.wait(GIVE_UP_S - 0.25) == []
        file.write(lines[4][-5:])
        assert watch.wait(30) == ["S2", "S3"]
        watch.restart()
        file.write(b"".join(lines[5:]))
    assert watch.wait(30) == ["S4", "S5"]


def test_equal_rows_are_as_many_readings(watch: Watch) -> None:
    header, row = table_lines(["S"])
    (watch.path / "soils.csv").write_bytes(header + 3 * row)
    assert watch.wait(30) == ["S", "S", "S"]
    (watch.path / "soils.csv").write_bytes(header + 4 * row)
    assert watch.wait(30) == ["S"]


def test_rows_of_a_table_that_is_left_cut_off_are_taken_and_the_rest_later(watch: Watch) -> None:
    content = b"".join(table_lines(["A", "B", "C"]))
    path = watch.path / "soils.csv"
    path.write_bytes(content[:-30])
    assert watch.wait(GIVE_UP_S - 0.25) == []
    assert watch.wait(30) == ["A", "B", "refused soils.csv"]
    path.write_bytes(content)
    assert watch.wait(30) == ["C"]


@pytest.fixture
def text(tmp_path: Path) -> list[bytes]:
    """The lines of a text that can be read from any of its first lines on: nothing in it says how long it is."""
    from stibium.converters.spectra.library_write import write_ascii_table

    write_ascii_table(tmp_path / "a.txt", [soil("A")])
    return (tmp_path / "a.txt").read_bytes().splitlines(keepends=True)


def test_a_text_that_is_cut_within_a_line_is_waited_for(watch: Watch, text: list[bytes]) -> None:
    content = b"".join(text)
    with (watch.path / "a.txt").open("wb", buffering=0) as file:
        for start in range(0, len(content), 7001):
            file.write(content[start : start + 7001])
            if file.tell() < len(content):
                assert watch.wait(GIVE_UP_S - 1) == []
    assert watch.wait(GIVE_UP_S) == ["A"]


def test_a_program_that_was_seen_to_pause_is_given_twice_that_time(watch: Watch, text: list[bytes]) -> None:
    with (watch.path / "a.txt").open("wb", buffering=0) as file:
        file.write(b"".join(text[:500]))
        assert watch.wait(SETTLE_S - 0.25) == []
        file.write(b"".join(text[500:1000]))
        assert watch.wait(SETTLE_S + 2) == []
        file.write(b"".join(text[1000:1500]))
        assert watch.wait(2 * SETTLE_S + 3) == []
        file.write(b"".join(text[1500:]))
    assert watch.wait(GIVE_UP_S) == ["A"]


def test_a_file_that_changes_while_it_is_read_is_read_again(
    watch: Watch, text: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = watch.path / "a.txt"
    path.write_bytes(b"".join(text[:1000]))
    real = module.read_file

    def overtaken(name: str) -> list[Spectrum | Refusal]:
        items = real(name)
        if path.stat().st_size < len(b"".join(text)):
            path.write_bytes(b"".join(text))
        return items

    monkeypatch.setattr(module, "read_file", overtaken)
    assert watch.wait(30) == ["A"]
    assert isinstance(watch.items[0], Spectrum)
    assert watch.items[0].range_nm == (350, 2500)


def test_the_data_of_an_envi_library_that_got_its_size_first(watch: Watch, tmp_path: Path) -> None:
    from stibium.converters.spectra.library_write import write_envi

    write_envi(tmp_path / "lib.hdr", [soil("A"), soil("B", 1)])
    content = (tmp_path / "lib.sli").read_bytes()
    (tmp_path / "lib.hdr").rename(watch.path / "lib.hdr")
    with (watch.path / "lib.sli").open("wb", buffering=0) as file:
        file.truncate(len(content))
        for start in range(0, len(content), 9000):
            assert watch.wait(SETTLE_S + 1) == []
            tick()
            file.write(content[start : start + 9000])
    assert watch.wait(GIVE_UP_S) == ["A", "B"]


def test_a_kill_within_a_long_table_neither_loses_nor_doubles(watch: Watch) -> None:
    names = [f"S{i}" for i in range(3 * module.BATCH_ITEMS + 5)]
    (watch.path / "soils.csv").write_bytes(b"".join(table_lines(names)))
    watch.poll()
    watch.now_s += SETTLE_S
    batches = watch.folder.poll()
    taken = watch.store(next(batches))
    next(batches)  # read, perhaps estimated, but not stored
    assert taken == names[: module.BATCH_ITEMS]
    watch.restart()
    assert watch.wait(SETTLE_S) == names[module.BATCH_ITEMS :]
    watch.restart()
    assert watch.wait(30) == []


def test_a_batch_that_is_not_stored_comes_again(watch: Watch) -> None:
    (watch.path / "a.asd").write_bytes(asd_bytes())
    watch.poll()
    watch.now_s += SETTLE_S
    assert len(list(watch.folder.poll())) == 1
    assert watch.wait(0) == ["a"]


@pytest.mark.parametrize("header_first", [True, False])
def test_an_envi_library_is_taken_once_both_files_are_there(watch: Watch, tmp_path: Path, header_first: bool) -> None:
    from stibium.converters.spectra.library_write import write_envi

    write_envi(tmp_path / "lib.hdr", [soil("A"), soil("B", 1)])
    first, second = ("lib.hdr", "lib.sli") if header_first else ("lib.sli", "lib.hdr")
    (watch.path / first).write_bytes((tmp_path / first).read_bytes())
    assert watch.wait(SETTLE_S + 1) == []
    content = (tmp_path / second).read_bytes()
    with (watch.path / second).open("wb", buffering=0) as file:
        file.write(content[: len(content) // 2])
        assert watch.wait(SETTLE_S + 1) == []
        file.write(content[len(content) // 2 :])
    assert watch.wait(30) == ["A", "B"]
    watch.restart()
    assert watch.wait(30) == []


def test_data_that_comes_after_its_header_was_refused_is_taken(watch: Watch, tmp_path: Path) -> None:
    from stibium.converters.spectra.library_write import write_envi

    write_envi(tmp_path / "lib.hdr", [soil("A"), soil("B", 1)])
    (tmp_path / "lib.hdr").rename(watch.path / "lib.hdr")
    assert watch.wait(30) == ["refused lib.hdr"]
    (tmp_path / "lib.sli").rename(watch.path / "lib.sli")
    assert watch.wait(30) == ["A", "B"]


def test_a_folder_that_vanishes_and_returns(watch: Watch, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (watch.path / f"{name}.asd").write_bytes(asd_bytes())
    assert watch.wait(SETTLE_S) == ["a", "b"]
    (watch.path / "c.asd").write_bytes(asd_bytes())
    watch.wait(SETTLE_S - 1)
    watch.path.rename(tmp_path / "pulled")
    assert watch.wait(60) == []
    assert "No such file" in watch.folder.gone
    assert watch.folder.waiting() == {}
    (tmp_path / "pulled").rename(watch.path)
    # It may have been pulled in the middle of a copy: the waiting starts anew.
    assert watch.wait(SETTLE_S - 0.25) == []
    assert watch.folder.gone == ""
    assert watch.wait(30) == ["c"]


def test_another_stick_at_the_same_place(watch: Watch, tmp_path: Path) -> None:
    (watch.path / "soil00001.asd").write_bytes(asd_bytes(1))
    assert watch.wait(SETTLE_S) == ["soil"]
    watch.path.rename(tmp_path / "first")
    assert watch.wait(5) == []
    watch.path.mkdir()
    (watch.path / "soil00001.asd").write_bytes(asd_bytes(2))
    assert watch.wait(30) == ["soil"]
    watch.path.rename(tmp_path / "second")
    (tmp_path / "first").rename(watch.path)
    assert watch.wait(30) == []


def test_a_file_that_vanishes_while_it_is_waited_for_is_nothing(watch: Watch) -> None:
    (watch.path / "a.asd").write_bytes(b"half")
    watch.wait(SETTLE_S - 1)
    (watch.path / "a.asd").unlink()
    assert watch.wait(60) == []


def test_a_file_that_cannot_be_opened_is_tried_again_and_refused_once(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = watch.path / "a.asd"
    path.write_bytes(asd_bytes())
    real = module.looks_unfinished

    def broken(name: str) -> bool:
        # As on a worn stick; root may open everything that is sound.
        raise OSError(errno.EIO, "Input/output error", name)

    monkeypatch.setattr(module, "looks_unfinished", broken)
    assert watch.wait(GIVE_UP_S - 0.25) == []
    assert watch.wait(200) == ["refused a.asd"]
    assert watch.folder.waiting() == {}
    watch.restart()
    assert watch.wait(200) == []
    monkeypatch.setattr(module, "looks_unfinished", real)
    path.unlink()
    path.write_bytes(asd_bytes())
    assert watch.wait(30) == ["a"]


def test_a_lock_that_ends_without_a_change_of_the_file(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    (watch.path / "a.asd").write_bytes(asd_bytes())
    real = module.looks_unfinished

    def locked(path: str) -> bool:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(module, "looks_unfinished", locked)
    assert watch.wait(100) == ["refused a.asd"]
    monkeypatch.setattr(module, "looks_unfinished", real)
    assert watch.wait(100) == ["a"]


def test_junk_is_refused_once_and_the_rest_is_taken(watch: Watch) -> None:
    (watch.path / "notes.txt").write_bytes(b"sunny, 12 samples\n")
    with (watch.path / "film.mp4").open("wb") as file:
        file.truncate(1 << 30)
    os.mkfifo(watch.path / "pipe.asd")
    (watch.path / "a.asd").write_bytes(asd_bytes())
    assert sorted(watch.wait(100)) == ["a", "refused film.mp4", "refused notes.txt"]


def test_old_files_that_cannot_be_read_are_refused_without_waiting(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    (watch.path / "notes.txt").write_bytes(b"sunny\n")
    monkeypatch.setattr(module, "age_s", lambda signature: 1000.0)
    assert watch.wait(SETTLE_S) == ["refused notes.txt"]


def test_the_age_of_a_file_is_that_of_its_last_change(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.touch()
    os.utime(path, (1e9, 1e9))
    # A copy with the times of the original is as young as the copy.
    assert -1 < age_s(signature_of(str(path))) < 60
    assert age_s((5, time.time_ns() - 50 * 10**9, time.time_ns() - 70 * 10**9)) == pytest.approx(50, abs=1)
    now_ns = time.time_ns()
    assert age_s((5, 0, 0, 7, now_ns, 0)) == pytest.approx(0, abs=1)


@pytest.mark.parametrize(
    ("content", "unfinished"),
    [
        (b"", True),
        (b"1,2\n", False),
        (b"1,2\r", False),
        (b"1,2", True),
        (b"\x01\x00" * 2000, False),
        (b"\x01\x00" * 2000 + bytes(600), True),
        (bytes(512) + b"\x01\x00" * 2000, True),
        (b"\x01" * 512 + bytes(512) + b"\x01" * 512 + b"\n", True),
        (b"\x01" * (1 << 20) + bytes(700), True),
        (b"\x01" * 600 + bytes(511) + b"\x01", False),
        (bytes(100), True),
    ],
)
def test_what_looks_unfinished(tmp_path: Path, content: bytes, unfinished: bool) -> None:
    (tmp_path / "x").write_bytes(content)
    assert looks_unfinished(str(tmp_path / "x")) is unfinished


def test_two_programs_on_one_folder_and_log(watch: Watch) -> None:
    other = watch.another()
    (watch.path / "a.asd").write_bytes(asd_bytes())
    watch.poll()
    list(other.poll())
    watch.now_s += SETTLE_S
    (batch,) = other.poll()
    assert watch.poll() == ["a"]
    with pytest.raises(TakenMeanwhileError):
        watch.log.add([], also=partial(other.taken.mark, batch))
    other.reload()
    assert list(other.poll()) == []


def test_own_files_are_not_read(watch: Watch) -> None:
    own = watch.path / "results.csv"
    own.write_bytes(b"1,2\n")
    status = own.stat()
    watch.folder.own_files = lambda: frozenset({(status.st_dev, status.st_ino)})
    (watch.path / "a.asd").write_bytes(asd_bytes())
    assert watch.wait(100) == ["a"]


def test_known_files_are_not_opened_again(watch: Watch) -> None:
    for i in range(500):
        (watch.path / f"s{i:03d}.asd").write_bytes(asd_bytes(i))
    assert len(watch.wait(SETTLE_S)) == 500
    watch.restart()
    opened: list[str] = []
    counting = True

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        if counting and event == "open" and str(arguments[0]).startswith(str(watch.path)):
            opened.append(str(arguments[0]))

    sys.addaudithook(audit)
    assert watch.wait(10) == []
    assert opened == []
    (watch.path / "new.asd").write_bytes(asd_bytes())
    opened.clear()
    assert watch.wait(SETTLE_S) == ["new"]
    assert set(opened) == {str(watch.path / "new.asd")}
    counting = False


def test_batches_are_small_enough_to_show_results_early(watch: Watch) -> None:
    for i in range(200):
        (watch.path / f"s{i:03d}.asd").write_bytes(asd_bytes(i))
    watch.poll()
    watch.now_s += SETTLE_S
    sizes = [len(batch) for batch in watch.folder.poll()]
    assert sizes == [64, 64, 64, 8]


def test_a_listing_follows_folders_and_names_what_it_cannot_list(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_bytes(b"12")
    (tmp_path / "nowhere").symlink_to("missing")
    listing = list_folder(str(tmp_path))
    assert list(listing.files) == [str(tmp_path / "sub" / "a")]
    assert listing.files[str(tmp_path / "sub" / "a")][0] == 2
    assert "Not a directory" in list_folder(str(tmp_path / "sub" / "a")).gone


def test_each_place_is_listed_once_and_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    """Whoever may write into a share may not read the whole device through it."""
    drop, secret = tmp_path / "drop", tmp_path / "drop-secret"
    for folder in (drop / "sub", secret):
        folder.mkdir(parents=True)
        (folder / "a").write_bytes(b"12")
    (drop / "out").symlink_to(secret)
    (drop / "file").symlink_to(secret / "a")
    (drop / "again").symlink_to(drop)
    (drop / "inner").symlink_to("sub/a")
    (drop / "alias").symlink_to("sub")
    names = ["inner", "sub/a"]
    assert list(list_folder(str(drop)).files) == [str(drop / name) for name in names]
    (tmp_path / "linked").symlink_to(drop)
    linked = list_folder(str(tmp_path / "linked"))
    assert len(linked.files) == len(names)
    assert [Path(trouble.source).name for trouble in linked.troubles] == ["file", "out"]
    assert all("leads out of the folder" in trouble.reason for trouble in linked.troubles)


def test_a_folder_below_that_cannot_be_listed_is_named_once(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    (watch.path / "sub").mkdir()
    (watch.path / "a.asd").write_bytes(asd_bytes())
    scandir = os.scandir

    def denied(path: str):
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    assert watch.wait(30) == ["a"]
    assert watch.notices == [f"{watch.path / 'sub'} cannot be listed: Permission denied"]


def test_names_that_are_no_utf8_are_remembered(watch: Watch) -> None:
    with open(os.fsencode(watch.path) + b"/sol\xe9.asd", "wb") as file:
        file.write(asd_bytes())
    assert watch.wait(30) == ["sol?"]
    watch.restart()
    assert watch.wait(30) == []


def test_a_damaged_memory_is_one_clear_line(watch: Watch) -> None:
    watch.log.database.execute("DROP TABLE taken_items")
    (watch.path / "a.asd").write_bytes(asd_bytes())
    with pytest.raises(LogError, match="remember which files"):
        watch.wait(30)


def test_the_memory_is_in_the_log(watch: Watch) -> None:
    (watch.path / "a.asd").write_bytes(asd_bytes())
    watch.wait(30)
    with sqlite3.connect(watch.log_path) as db:
        assert db.execute("SELECT path FROM taken_files").fetchall() == [(os.fsencode(watch.path / "a.asd"),)]
        assert db.execute("SELECT count(*) FROM taken_items").fetchone() == (1,)


ASD = asd_bytes()
TABLE_IDS = [f"S{i}" for i in range(5)]
TABLE = b"".join(table_lines(TABLE_IDS, bands=40))


@st.composite
def copying(draw: st.DrawFn) -> tuple[bytes, list[tuple[int, float]]]:
    """A file, and how a program writes it: places where it pauses, and for how long."""
    content = draw(st.sampled_from([ASD, TABLE]))
    cuts = sorted(draw(st.sets(st.integers(0, len(content) - 1), max_size=6)))
    pauses = [draw(st.floats(0.0, GIVE_UP_S - 0.5)) for _ in cuts]
    return content, list(zip(cuts, pauses, strict=True))


@given(plan=copying(), renamed=st.booleans(), killed=st.booleans())
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_a_file_is_copied_each_spectrum_is_taken_once(
    tmp_path_factory: pytest.TempPathFactory,
    plan: tuple[bytes, list[tuple[int, float]]],
    renamed: bool,
    killed: bool,
) -> None:
    content, pauses = plan
    watch = Watch(tmp_path_factory.mktemp("copying"))
    path = watch.path / ("a.part" if renamed else "a")
    taken: list[str] = []
    done = 0
    with path.open("wb", buffering=0) as file:
        for cut, pause_s in pauses:
            file.write(content[done:cut])
            done = cut
            taken += watch.wait(pause_s)
            if killed:
                watch.restart()
        file.write(content[done:])
    if renamed:
        assert taken == []
        path.rename(watch.path / "a")
    taken += watch.wait(2 * GIVE_UP_S)
    watch.close()
    assert taken == (["a"] if content is ASD else TABLE_IDS)
