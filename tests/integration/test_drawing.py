"""Figures of a run, and what they import."""

from commands import run_python
from sinernn.runs import Run


def test_preload(trained: Run):
    """It imports what drawing needs, and no pyplot."""
    code = (
        "import sys\n"
        "from sinernn import plot_run\n"
        "import threading\n"
        "thread = threading.Thread(target=plot_run.preload)\n"
        "thread.start(); thread.join()\n"
        "before = set(sys.modules)\n"
        "plot_run.plot('latest', names=['overview'])\n"
        "print(*(set(sys.modules) - before), 'matplotlib.pyplot' in sys.modules)\n"
    )
    *later, pyplot = run_python(code).split()
    assert pyplot == "False"
    assert not [name for name in later if name.startswith("matplotlib")], later
