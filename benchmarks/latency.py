"""From the instrument's last byte to the estimate stored and shown: `stibium listen` as a process of its own.

The virtual probe plays the package's recorded samples at full speed, and its button is pressed for each sample once the
last one has been shown. So nothing but the device's own work lies between the two moments: the end of the transfer,
preprocessing, the network, the commit to disk, the line on standard output. The instrument's time is not in it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from samples import DEMO_SAMPLES
from stibium.converters.spectra.read import read_spectra
from stibium.edge.simulators.ends import PtyEnd
from stibium.edge.simulators.framed_instrument import VirtualInstrument
from stibium.edge.simulators.serve import VirtualProbe
from stibium.edge.simulators.spectra import from_spectra

BOUND_MS = 20.0
SAMPLES = 200
WARM_UP = 5


class WatchedEnd(PtyEnd):
    """A pseudo-terminal that knows when bytes last went out on it."""

    last_sent_s = 0.0

    def send(self, data: bytes) -> int:
        """See `PtyEnd`."""
        sent = super().send(data)
        if sent:
            self.last_sent_s = time.perf_counter()
        return sent


def latencies_ms(points: int, log: Path) -> list[float]:
    """Time from the last byte of a sample's last point to its line, sample by sample."""
    program = str(Path(sys.executable).parent / "stibium")
    end = WatchedEnd()
    # Pressed by hand only: the first press comes when the test says so.
    instrument = VirtualInstrument(from_spectra(read_spectra(DEMO_SAMPLES)), button_s=None, loop=True)
    found = []
    with VirtualProbe(instrument, end) as probe:
        options = ["--passive", "--count", str(SAMPLES), "--points", str(points), "--prefix", "S", "--format", "jsonl"]
        command = [program, "listen", probe.name, *options, "--log", str(log)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stderr.readline()
            for _ in range(SAMPLES):
                for point in range(points):
                    # A press before the last point was acknowledged is in vain, as on a real instrument.
                    made = instrument.measured
                    while instrument.measured == made:
                        probe.press_button()
                        time.sleep(0.002)
                    if point < points - 1:
                        time.sleep(0.02)
                line = process.stdout.readline()
                shown_s = time.perf_counter()
                if not line:
                    raise RuntimeError(f"stibium listen ended: {process.stderr.read()}")
                found.append(1e3 * (shown_s - end.last_sent_s))
            process.communicate()
    return found[WARM_UP:]


def main() -> bool:
    """Print median and 95th percentile; True if the medians are within the bound."""
    within = True
    print(f"stibium listen, from the instrument's last byte to the estimate stored and shown, {SAMPLES} samples")
    for points in (1, 5):
        with tempfile.TemporaryDirectory() as folder:
            times = latencies_ms(points, Path(folder) / "log.db")
        middle, high = median(times), quantiles(times, n=20)[-1]
        print(
            f"  {points} point{'s' * (points > 1)} a sample: median {middle:5.1f} ms (bound {BOUND_MS:g} ms), 95th percentile {high:.1f} ms"
        )
        # The median, because how late the latest are is a matter of what else the machine does.
        within = within and middle <= BOUND_MS
    return within


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
