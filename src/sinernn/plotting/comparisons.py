"""Figures that compare the free run with the baselines, and its spectrum with the truth's."""

import numpy as np
from matplotlib.figure import Figure

from sinernn.arrays import Float
from sinernn.evaluation.metrics import counted
from sinernn.plotting.style import (
    BASELINE_LINES,
    FAINT,
    MODEL,
    TRUTH,
    Story,
    draw_valid_limit,
    marker_for,
    readable_error,
    use_decades,
    use_log,
)


def horizon(story: Story) -> Figure:
    """RMSE up to a horizon: the network with all origins as a band, and the baselines as lines."""
    evidence = story.evaluated
    figure = Figure(figsize=(7.5, 5))
    axes = figure.subplots()
    errors = _errors_up_to(evidence.closed_loop.errors)
    ahead = range(1, evidence.closed_loop.steps + 1)
    marker = marker_for(len(ahead))
    for name, forecast in evidence.baselines.items():
        theirs = np.median(_errors_up_to(evidence.closed_loop.errors_of(forecast)), axis=0)
        look = BASELINE_LINES.get(name.partition("(")[0], {"color": FAINT})
        axes.plot(ahead, theirs, marker=marker, label=name, **look)
    if len(errors) > 1:
        low, high = errors.min(axis=0), errors.max(axis=0)
        axes.fill_between(ahead, low, high, color=MODEL, alpha=0.25, linewidth=0, label="origins")
    ours = np.median(errors, axis=0)
    axes.plot(ahead, ours, marker=marker, color=MODEL, linewidth=2.4, label="network")
    use_log(axes.xaxis)
    axes.set(xlabel="horizon (steps)", ylabel="RMSE up to it (signal units)")
    if evidence.spread:
        draw_valid_limit(axes, evidence)
    use_decades(axes, top=readable_error(evidence))
    axes.set_title("error against horizon, median over the origins")
    figure.legend(loc="outside lower center", ncols=4)
    return figure


def spectra(story: Story) -> Figure:
    """Power spectra of a typical free run and of the truth over the same steps."""
    evidence = story.evaluated
    forecasts = evidence.closed_loop
    origin = forecasts.typical
    truth = forecasts.truth[origin, forecasts.warmup :, 0]
    run = forecasts.prediction[origin, :, 0]
    figure = Figure(figsize=(7.5, 4.5))
    axes = figure.subplots()
    frequency = np.fft.rfftfreq(len(truth), evidence.time_step)
    axes.plot(frequency, power_spectrum(truth), color=FAINT, linewidth=4, label="truth")
    if np.isfinite(run).all():
        axes.plot(frequency, power_spectrum(run), color=MODEL, linewidth=1.2, label="free run")
        title = f"power spectra over {counted(len(truth))}"
    else:
        title = "power spectrum; the free run diverged, and has none"
    axes.set(xlabel="frequency (1 / time unit)", ylabel="power (signal units²)")
    use_decades(axes)
    if evidence.period:
        axes.axvline(1 / evidence.period, color=TRUTH, linewidth=0.8, linestyle=":")
    axes.set_title(title)
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def power_spectrum(samples: Float[np.ndarray, " n"]) -> Float[np.ndarray, " frequency"]:
    """Return a Hann-windowed periodogram; a sinusoid's peak is its mean square.

    Source:
        Harris (1978), Proceedings of the IEEE 66, 51-83.
    """
    window = np.asarray(np.hanning(len(samples) + 2)[1:-1])  # without its zeros at both ends
    transform = np.fft.rfft((samples - samples.mean()) * window)
    with np.errstate(over="ignore"):  # squares of a diverging free run
        return 2 * np.abs(transform / window.sum()) ** 2


def _errors_up_to(errors: Float[np.ndarray, "origin steps"]) -> Float[np.ndarray, "origin steps"]:
    """Return RMSE over the first 1, 2, ... steps; infinite from where a forecast diverged."""
    with np.errstate(over="ignore"):
        squares = np.where(np.isfinite(errors), errors, np.inf) ** 2
        return np.sqrt(np.cumsum(squares, axis=1) / np.cumsum(np.ones_like(errors), axis=1))
