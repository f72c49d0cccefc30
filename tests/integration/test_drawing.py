"""Figures of a run, and what they import."""

import subprocess
import sys

from sinernn.runs import Run


def test_preload_imports_what_drawing_needs_and_no_pyplot(trained: Run):
    code = (
        "import sys\n"
        "from sinernn import drawing\n"
        "import threading\n"
        "thread = threading.Thread(target=drawing.preload)\n"
        "thread.start(); thread.join()\n"
        "before = set(sys.modules)\n"
        "drawing.plot('latest', names=['overview'])\n"
        "print(*(set(sys.modules) - before), 'matplotlib.pyplot' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *later, pyplot = done.stdout.split()
    assert pyplot == "False"
    assert not [name for name in later if name.startswith("matplotlib")], later
