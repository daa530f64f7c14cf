"""`stibium serve`."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import ServeError, installing
from ..log.write import default_log_path
from ..supervise import Supervisor
from .options import load_bundles
from .output import notice, say
from .serve_options import ServeOptions, in_words
from .session_options import takes
from .stopping import Stop

if TYPE_CHECKING:
    from ..page.lines import LineServer


@click.command(epilog="Example:  stibium serve /dev/ttyUSB0 --on wlan0 --qr")
@takes(ServeOptions)
def serve(options: ServeOptions) -> None:
    """Serve a page for a phone: what the log has, and a measuring day led from it.

    With PORT the page leads a session as `stibium measure` does; without, or where another program measures, it shows
    what is committed to the log. Looking is free to all who reach the address; everything that changes needs the PIN,
    which is printed at the start. Needs the extra: pip install '.[web]'; --lines does without. Ctrl-C ends it; a
    session that is under way goes on at the next start.
    """
    from ..log.write import Log
    from ..page.address import listening
    from ..page.lines import LineServer

    bundles = load_bundles(options.models)
    path = Path(options.log) if options.log is not None else default_log_path()
    with ExitStack() as stack:
        sender = None
        if options.lines is not None:
            listener = stack.enter_context(listening(*options.lines))
        if not path.is_file():
            Log(path).close()
        if options.lines is not None:
            sender = stack.enter_context(LineServer(listener, path, in_words))
            say("Lines: {}:{}".format(*listener.getsockname()[:2]))
        try:
            from .serve_page import serve_page
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn", "anyio", "h11"):
                raise
            line = f"{error.name} is not installed, so there is no page; run: {installing('web')}"
            if sender is None:
                raise ServeError(line) from None
            notice(line)
            _wait_for(sender)
        else:
            serve_page(options, bundles, path)


def _wait_for(sender: LineServer) -> None:
    supervisor = Supervisor()
    supervisor.ready("readings as lines")
    with Stop(), suppress(KeyboardInterrupt):
        while sender.thread.is_alive():
            supervisor.alive()
            sender.thread.join(1.0)
    if sender.failure:
        raise ServeError(sender.failure)
