"""How a process that serves or forwards hears that it is to stop."""

import subprocess
import sys
from typing import Final

# The second signal comes while the first one's handler has the event's lock, which is not to be had twice.
_TOLD_TWICE: Final = """
import os, signal, threading
from higgs_shop import serving

stopping = threading.Event()
notify_all = stopping._cond.notify_all
stopping._cond.notify_all = lambda: (os.kill(os.getpid(), signal.SIGTERM), notify_all())
serving._on_stop(stopping.set)
os.kill(os.getpid(), signal.SIGTERM)
assert stopping.is_set()
"""


def test_being_told_twice_at_once_stops_it_all_the_same() -> None:
    told = subprocess.run([sys.executable, "-c", _TOLD_TWICE], timeout=60, check=False)
    assert told.returncode == 0
