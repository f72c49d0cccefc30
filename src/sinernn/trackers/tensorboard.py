"""Show runs in TensorBoard: write event files, which it reads."""

import os
import struct
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from sinernn.trackers.tracker import Scalars, TrackedRun, Tracker

FOLDER = "TENSORBOARD_LOGGING_DIR"
"""Environment variable with the folder of the event files."""

SUFFIX = ".sinernn"
"""End of the names of our event files: others in the folder are left alone."""


class TensorBoard(Tracker):
    """Writes one event file for each run; a later one of the same run replaces it."""

    package, extra = "tensorboardX", "tensorboard"

    def start(self, run: TrackedRun) -> None:
        """Replace the event file of the run."""
        from tensorboardX.event_file_writer import EventsWriter

        folder = event_folder(run)
        folder.mkdir(parents=True, exist_ok=True)
        for earlier in folder.glob(f"events.*{SUFFIX}"):
            with suppress(FileNotFoundError):
                earlier.unlink()
        self._writer: Any = EventsWriter(str(folder / "events"), SUFFIX)
        # An open TensorBoard forgets what it has read of the run.
        self._write(run.started, session_log={"status": "START"})

    def record(self, scalars: Scalars, time: float) -> None:
        """Write numbers, and leave them on the disk."""
        from tensorboardX import summary

        for name, value in scalars.values.items():
            self._write(time, step=scalars.step, summary=summary.scalar(name, value))
        self._writer.flush()

    def finish(self, run: TrackedRun) -> None:
        """Write scores, settings and figures."""
        from tensorboardX import summary

        end, step = run.ended, run.facts.updates
        scores = run.scores()
        for name, value in scores.items():
            self._write(end, step=step, summary=summary.scalar(name, value))
        for part in cast("Any", summary).hparams(run.settings, scores):
            self._write(end, summary=part)
        for path in run.figures():
            content = path.read_bytes()
            width, height = struct.unpack(">2L", content[16:24])  # of the header of any PNG
            image = {"height": height, "width": width, "encoded_image_string": content}
            figure = {"tag": f"figures/{path.stem}", "image": image}
            self._write(end, step=step, summary={"value": [figure]})
        self._writer.close()

    def _write(self, time: float, **content: Any) -> None:
        event = import_module("tensorboardX.proto.event_pb2").Event(wall_time=time, **content)
        self._writer.write_event(event)


def event_folder(run: TrackedRun) -> Path:
    """Return the folder of a run's event file.

    It is in `tensorboard` beside the run, and not in the run, which TensorBoard would find a second
    time through the link `latest`; or in the folder that `TENSORBOARD_LOGGING_DIR` names.
    """
    if named := os.environ.get(FOLDER):
        within = f"{run.sweep.name}/{run.name}" if run.sweep else run.name
        return Path(named) / within
    return run.run.path.resolve().parent / "tensorboard" / run.name
