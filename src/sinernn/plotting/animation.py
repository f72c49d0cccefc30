"""Write frames as an animation."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

from matplotlib.figure import Figure

from sinernn.errors import UsageError, printable

FRAMES_PER_SECOND = 4
HELD = 2 * FRAMES_PER_SECOND
"""Frames for which the last one is shown."""

# The same frames give the same bytes: no version, no time.
_FFMPEG = ("-crf", "26", "-movflags", "+faststart", "-fflags", "+bitexact", "-flags:v", "+bitexact")


def write_frames(
    figure: Figure,
    show: Callable[[int], None],
    count: int,
    format: str,
    *,
    on_frame: Callable[[int, int], None],
) -> bytes:
    """Return an animation as the content of a file.

    Args:
        figure: What is drawn for each frame.
        show: Changes the figure to a frame, from 0.
        count: Number of frames.
        format: gif or mp4.
        on_frame: Called with how many frames are drawn, and how many there are.

    Raises:
        UsageError: An mp4 needs ffmpeg, which is not there or fails.
    """
    from matplotlib.animation import FFMpegWriter, PillowWriter

    writer: Any = PillowWriter(fps=FRAMES_PER_SECOND)
    if format == "mp4":
        if not FFMpegWriter.isAvailable():
            raise UsageError(
                "an mp4 needs ffmpeg, which is not on the path; install it (for example with "
                "apt install ffmpeg or brew install ffmpeg), or use --format gif"
            )
        writer = FFMpegWriter(fps=FRAMES_PER_SECOND, codec="h264", extra_args=list(_FFMPEG))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"frames.{format}"
        try:
            with writer.saving(figure, path, figure.dpi):
                for frame in [*range(count), *[count - 1] * HELD]:
                    show(frame)
                    writer.grab_frame()
                    on_frame(min(frame + 1, count), count)
        except (CalledProcessError, OSError) as error:
            lines = str(getattr(error, "stderr", "") or error).strip().splitlines()
            why = printable(lines[-1], 200)
            raise UsageError(f"{format}: cannot be written: {why}; use --format gif") from error
        return path.read_bytes()
