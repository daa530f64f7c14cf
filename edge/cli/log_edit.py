"""`stibium log edit`."""

from __future__ import annotations

import re

import click

from .options import log_option
from .output import notice, say


@click.command(
    epilog="Example:  stibium log edit 12 rename RS007 --who Ana",
    context_settings={"ignore_unknown_options": True},
)
@click.argument("reading")
@click.argument("words", nargs=-1, required=True, metavar="WHAT...")
@click.option("--who", metavar="NAME", help="Who says so.  [default: the user who is logged in]")
@log_option
@click.pass_context
def edit(ctx: click.Context, reading: str, words: tuple[str, ...], who: str | None, log: str | None) -> None:
    """Say something of a reading afterwards; nothing in the log is changed.

    READING is a number that `stibium log` lists, or a sample: its last reading. WHAT is one of: void REASON,
    rename NAME, note TEXT, place LATITUDE,LONGITUDE[,HEIGHT], condition dry|damp|wet, together READING (of the same
    soil), again READING (which counts in its place), undo [NUMBER]. Lists and exports heed it from now on.
    """
    import getpass
    from pathlib import Path

    from ..errors import CorrectionError, LogError
    from ..log.corrections import correct, history_of, in_words
    from ..log.names import reading_of, warning_of
    from ..log.typed import parse_correction
    from ..log.write import Log, default_log_path

    for word in (reading, *words):
        # What lies west or south begins with a minus and is no option.
        if re.fullmatch(r"--?[a-zA-Z][\w-]*(=.*)?", word):
            raise click.NoSuchOption(word)
    given = log if log is not None else (ctx.parent.params.get("log") if ctx.parent is not None else None)
    path = Path(given) if given is not None else default_log_path()
    if not path.is_file():
        raise LogError(f"{path}: there is no log; measure first, or name another file with --log")
    if who is None:
        try:
            who = getpass.getuser()
        except (KeyError, OSError):  # a user without a name
            who = ""
    if reading.lower() == "reading" and len(words) > 1:
        reading, words = f"reading {words[0]}", words[1:]
    with Log(path) as opened:
        db = opened.database
        try:
            meant = reading_of(db, reading)
        except LookupError as error:
            raise CorrectionError(str(error)) from None
        kind, value = parse_correction(db, meant.reading, " ".join(words))
        warning = warning_of(db, meant.reading, kind, value)
        correct(opened, meant.reading, kind, value, who)
        say(f"reading {meant.reading} ({meant.sample_id}) {in_words(history_of(db, meant.reading)[-1])}")
    if warning:
        notice(warning)
