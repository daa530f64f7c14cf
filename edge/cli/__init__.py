"""The command line: the only place that prints, prompts or exits."""

from __future__ import annotations

import atexit
import errno
import gc
import os
import sys
import threading
import warnings
from typing import NoReturn

import click

from .. import __version__
from .lazy import LazyGroup

DEVICE_COMMANDS = {
    "predict": "predict:predict",
    "watch": "watch:watch",
    "listen": "listen:listen",
    "measure": "measure:measure",
    "serve": "serve:serve",
    "ports": "ports:ports",
    "probe": "probe:probe",
    "log": "log:log",
    "day": "day:day",
    "reprocess": "reprocess:reprocess",
    "convert": "convert:convert",
    "plot": "plot:plot",
    "recipes": "recipes:recipes",
    "info": "bundle:info",
    "check": "bundle:check",
    "doctor": "doctor:doctor",
    "ore": "ore:ore",
    "demo": "demo:demo",
}
"""Command -> module under this package and name of the click command in it."""


YOUNG_OBJECTS = 50_000
"""More than a start makes, and few beside a device's memory."""


class _InterruptedError(Exception):
    """Ctrl-C, or the end of what is typed: click would make "Aborted!" and the exit code of a refusal of it."""


class _PipeClosedError(Exception):
    """The reader of a pipe has gone (`| head`): click would give it the exit code of a refusal."""


class _Stibium(LazyGroup):
    """The program."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; see `run` for how it ends."""
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):
            raise _InterruptedError from None
        except BrokenPipeError:
            raise _PipeClosedError from None
        except click.ClickException as error:
            from .output import printable

            vars(error)["message"] = printable(error.message)
            raise


@click.group(
    cls=_Stibium,
    device=DEVICE_COMMANDS,
    entry_points="stibium.commands",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example:  stibium predict soil00001.asd",
)
@click.version_option(__version__, prog_name="stibium")
def stibium() -> None:
    """Antimony in soil from contact-probe reflectance spectra."""


def main() -> NoReturn:
    """Be the program: `run`, and the process ends."""
    try:
        run()
    except SystemExit as ended:
        _end_at_once(ended.code)
        raise


def run() -> NoReturn:
    """Run the command line; every failure a user can meet ends in one line and an exit code.

    Raises:
        SystemExit: always.
    """
    _open_what_is_closed()
    # What is imported stays: looking through it for garbage again and again would be a twentieth of a start.
    gc.set_threshold(YOUNG_OBJECTS)
    # NumPy reads it when it is imported. A spectrum's matrices are so small that threads wait for each other: on two of
    # them an archive took 1.6 times the processor time. What is worth spreading is spread over processes.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from ...converters.spectra.errors import StibiumError  # brings NumPy along: after that

    if not os.environ.get("STIBIUM_TRACEBACK"):
        # What NumPy thinks of a number helps nobody who measures; what follows from it is said in words.
        warnings.simplefilter("ignore")
    try:
        stibium(standalone_mode=True)
    except StibiumError as error:
        _stop(str(error), 1)
    except (KeyboardInterrupt, _InterruptedError):
        _stop("stopped", 130)
    except (BrokenPipeError, _PipeClosedError):
        # The interpreter must not complain about it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        _stop(_os_error_line(error), 1)
    except Exception as error:
        if os.environ.get("STIBIUM_TRACEBACK"):
            raise
        _stop(
            f"unexpected {type(error).__name__}: {error} (a defect of stibium: please report it with the output of "
            "the same command under STIBIUM_TRACEBACK=1)",
            1,
        )
    sys.exit(0)


def _open_what_is_closed() -> None:
    """Let what is said go nowhere where the caller has closed its end (`>&-`), which Python leaves None.

    Nor may a file of ours, such as the log, come to have the number of a standard stream.
    """
    for name in ("stdin", "stdout", "stderr"):  # in this order the lowest free number is the right one
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - open to the end


def _end_at_once(code: object) -> None:
    """End the process without taking the interpreter apart, which would be a seventh of a start.

    Commands close what they open, so nothing is left to do. Where something is (other threads, what was registered for
    the end, an output that takes no more), and for whoever looks for a defect, the interpreter ends in its own way.
    """
    # Nor is there anything to be gained from looking once more for garbage in what ends anyway.
    gc.disable()
    # What is not CPython may not say what is registered.
    registered = getattr(atexit, "_ncallbacks", lambda: 1)()
    if os.environ.get("STIBIUM_TRACEBACK") or threading.active_count() > 1 or registered:
        return
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        return
    if isinstance(code, int):
        os._exit(code)


def _os_error_line(error: OSError) -> str:
    what = error.strerror or str(error)
    if error.filename:
        return f"{error.filename}: {what}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
        return f"the output cannot be written: {what}; free space, or send the output elsewhere"
    return what


def _stop(line: str, code: int) -> NoReturn:
    from .output import notice

    notice(line)
    sys.exit(code)
