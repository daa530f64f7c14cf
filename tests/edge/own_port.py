"""A pseudo-terminal under a name of its own."""

from __future__ import annotations

import tempfile
from pathlib import Path

from stibium.edge.simulators.ends import PtyEnd


def own_pty() -> PtyEnd:
    """Give a port that can be unplugged: its number may then go to a test beside it, the name does not."""
    return PtyEnd(Path(tempfile.mkdtemp(prefix="port-")) / "port")
