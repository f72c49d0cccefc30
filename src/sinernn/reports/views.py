"""The live views of a page: what they show of each run, as far as it fits."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from sinernn.errors import SinernnError
from sinernn.evaluation.metrics import counted
from sinernn.reports.live import live_data
from sinernn.runs import Run

MOST_BYTES = 4_500_000
"""Of live views in a page, which then has at most 5 MB."""

MOST_RUNS = 100
"""With a live view in a page: of each, the series is read."""


class View(NamedTuple):
    """What the live view of a run needs."""

    id: str
    """Id of its element in the page."""

    run: str
    """Name of the run in the page's address; its path, if another run has that name."""

    data: Markup
    """JSON that ends no script."""


class LiveViews:
    """The live views of a page, by the path of their run."""

    def __init__(self, runs: Sequence[Run]) -> None:
        """Collect the live views of runs, in this order, as long as they fit.

        Args:
            runs: The runs; one whose network or data cannot be read has no live view.
        """
        self.views = dict[str, View]()
        self.failures = dict[str, str]()
        """Why a run has none, by its path."""
        size, named = 0, Counter(run.path.resolve().name for run in runs)
        for run in runs[:MOST_RUNS]:
            try:
                data = live_data(run)
                if named[data["id"]] > 1:  # as of two sweeps over the same values
                    data["id"] = str(run.path)
                text = htmlsafe_json_dumps(data, dumps=json.dumps, allow_nan=False)
            except (SinernnError, ValueError) as error:  # a number is not finite, and not JSON
                self.failures[str(run.path)] = str(error)
                continue
            size += len(text)
            if size > MOST_BYTES:
                break
            self.views[str(run.path)] = View(f"live-{len(self.views)}", data["id"], text)
        self._left_out = len(runs) - len(self.views) - len(self.failures)

    @property
    def notes(self) -> list[str]:
        """What several runs lack."""
        found = [f"no live view of {path}: {why}" for path, why in self.failures.items()]
        more = f"and {len(found) - 3} more runs have no live view"
        notes = [*found[:3], more] if len(found) > 4 else found
        if self._left_out:
            shown = f"{len(self.views)} of {counted(len(self.views) + self._left_out, 'run')}"
            notes.append(
                f"the live view shows {shown}, as a page has 5 MB at most; "
                "sinernn report RUN shows another"
            )
        return notes
