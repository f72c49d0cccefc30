"""Figures that compare free runs: with baselines, with other runs, with the truth's spectrum."""

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sinernn.arrays import Float
from sinernn.evaluation.metrics import counted
from sinernn.evaluation.parts import HorizonScore
from sinernn.plotting.style import (
    ACCENT,
    BASELINE_LINES,
    FAINT,
    GREEN,
    MODEL,
    ORANGE,
    PURPLE,
    TRUTH,
    Story,
    add_legend,
    draw_valid_limit,
    fit_log,
    marker_for,
    readable_error,
    use_log,
)

_SPECTRUM_STEPS = 128  # of a free run, at least
_SPECTRUM_PERIODS = 8  # of the series, at least: two lines a few bins apart are distinct


def horizon(story: Story) -> Figure:
    """RMSE up to a horizon: the network with all origins as a band, and the baselines as lines."""
    evidence = story.evaluated
    figure = Figure(figsize=(7.5, 5))
    axes = figure.subplots()
    errors = _errors_up_to(evidence.closed_loop.errors)
    ahead = range(1, evidence.closed_loop.steps + 1)
    marker, ours = marker_for(len(ahead)), np.median(errors, axis=0)
    axes.plot(ahead, ours, marker=marker, color=MODEL, linewidth=2.4, zorder=3, label="network")
    shown = [errors]
    if len(errors) > 1:
        low, high = errors.min(axis=0), errors.max(axis=0)
        label = "network, best to worst origin"
        axes.fill_between(ahead, low, high, color=MODEL, alpha=0.25, linewidth=0, label=label)
    for name, forecast in evidence.baselines.items():
        theirs = np.median(_errors_up_to(evidence.closed_loop.errors_of(forecast)), axis=0)
        look = BASELINE_LINES.get(name.partition("(")[0], {"color": FAINT})
        axes.plot(ahead, theirs, marker=marker, label=name, **look)
        shown.append(theirs[None])
    use_log(axes.xaxis)
    axes.set(xlabel="horizon (steps)", ylabel=story.in_unit("RMSE up to it"))
    if evidence.spread:
        draw_valid_limit(axes, evidence)
        shown.append(np.array([[evidence.valid_limit]]))
    top = readable_error(evidence)
    if not ours[-1] <= top:
        left = int(np.argmin(ours <= top)) + 1
        label = f"network beyond 1000 standard deviations, step {left}"
        axes.axvline(left, color=MODEL, linestyle="--", linewidth=1, label=label)
    fit_log(axes, np.concatenate([each.ravel() for each in shown]), top=top)
    axes.set_title("error against horizon, median over the origins")
    add_legend(figure, axes)
    return figure


def comparison_figure(lines: Mapping[str, Sequence[HorizonScore]], unit: str) -> Figure:
    """RMSE up to a horizon, a line each; a few lines are shaded up to their worst origin.

    Of many lines the best at their longest common horizon are named, and the others grey.

    Args:
        lines: Errors by label, at growing horizons; None where a free run diverged.
        unit: Of the errors; empty if they have none.
    """
    drawn = {label: errors for label, errors in lines.items() if errors}
    shortest = min(errors[-1].horizon for errors in drawn.values())

    def error_at_shortest(label: str) -> float:
        reached = [each for each in drawn[label] if each.horizon <= shortest]
        return _number(reached[-1].median) if reached else np.inf

    named = sorted(drawn, key=error_at_shortest)[: len(_LINES)]
    figure = Figure(figsize=(7.5, 4.2 + 0.2 * len(named)))
    axes = figure.subplots()
    looks, others = iter(_LINES), f"{len(drawn) - len(named)} others"
    is_shaded, shown = len(drawn) <= _SHADED, list[Float[np.ndarray, " horizon"]]()
    for label, errors in drawn.items():
        ahead = [each.horizon for each in errors]
        ours, worst = (
            np.array([_number(getattr(each, which)) for each in errors])
            for which in ("median", "worst")
        )
        shown.append(ours)
        if label not in named:
            axes.plot(ahead, ours, color=FAINT, linewidth=0.8, zorder=1, label=others)
            continue
        dashes, color = next(looks)
        if not np.isfinite(ours).all():
            label += f" (diverged within {counted(ahead[int(ours.argmax())])})"
        axes.plot(ahead, ours, color=color, linestyle=dashes, marker=".", label=label)
        if is_shaded:
            shown.append(worst[worst <= 1000 * ours])
            ends = np.isfinite(worst)
            axes.fill_between(ahead, ours, worst, where=ends, color=color, alpha=0.12, linewidth=0)
    use_log(axes.xaxis)
    label = f"RMSE up to it ({unit})" if unit else "RMSE up to it"
    axes.set(xlabel="horizon (steps)", ylabel=label)
    fit_log(axes, np.concatenate(shown), top=_LARGEST)
    shade = ", shaded up to the worst" if is_shaded else ""
    axes.set_title(f"error against horizon, median over the origins{shade}")
    add_legend(figure, axes)
    return figure


_LINES = tuple(product(("-", (0, (2, 1))), (MODEL, ACCENT, GREEN, PURPLE, ORANGE)))
"""Dashes and colour of each named line."""

_LARGEST = 1e100  # error that an axis has room for: matplotlib's ticks overflow near 1e308
_SHADED = 4  # lines: of more, the shades would hide each other


def _number(error: float | None) -> float:
    return np.inf if error is None else error


def spectra(story: Story) -> Figure:
    """Power spectra of a typical free run and of the truth, with leakage and noise floor."""
    outputs, evidence = story.by_output, story.evaluated
    origin = evidence.closed_loop.typical
    figure = Figure(figsize=(7.5, 2.3 + 2.2 * len(outputs)))
    panels = figure.subplots(len(outputs), squeeze=False)[:, 0].tolist()
    for axes, one in zip(panels, outputs, strict=True):
        _draw_spectra(axes, one, origin, story.left_out if axes is panels[0] else "")
        if len(outputs) > 1:
            axes.set_ylabel(f"{one.signal}: {axes.get_ylabel()}")
            if axes is not panels[-1]:
                axes.set_xlabel("")
    if panels[0].lines:
        add_legend(figure, *panels)
    return figure


def _draw_spectra(axes: Axes, story: Story, origin: int, left_out: str) -> None:
    evidence = story.evaluated
    forecasts, steps = evidence.closed_loop, evidence.closed_loop.steps
    axes.set(xlabel=f"frequency (1/{story.time_unit or 'time unit'})")
    axes.set(ylabel=story.in_unit("power", "²"))
    needed = _SPECTRUM_STEPS
    if evidence.period:
        needed = max(needed, round(_SPECTRUM_PERIODS * evidence.period / evidence.time_step))
    if steps < needed:
        axes.set_title(f"power spectra{left_out}")
        why = f"{counted(steps)}, too few for a spectrum;\nset evaluation.horizon={needed} or more"
        axes.text(0.5, 0.5, why, ha="center", va="center", transform=axes.transAxes)
        axes.set(xticks=[], yticks=[])
        return
    truth = forecasts.truth[origin, forecasts.warmup :, 0]
    run = forecasts.prediction[origin, :, 0]
    frequency = np.fft.rfftfreq(steps, evidence.time_step)
    power = power_spectrum(truth)
    axes.plot(frequency, power, color=FAINT, linewidth=4, label="truth")
    drawn, title = [power], f"power spectra over {counted(steps)}"
    if np.isfinite(run).all():
        drawn.append(power_spectrum(run))
        axes.plot(frequency, drawn[1], color=MODEL, linewidth=1.2, label="free run")
    else:
        left = int(np.isfinite(run).argmin()) + 1
        title = f"power spectrum; the free run diverged (step {left}), and has none"
    label = "leakage of the strongest line (Hann window)"
    axes.plot(frequency, leakage(power), color=TRUTH, linewidth=1, linestyle=":", label=label)
    if story.noise:
        # White noise spreads evenly; a Hann window counts it one and a half times.
        floor, label = 3 * story.noise**2 / steps, "noise floor of the observed samples"
        axes.axhline(floor, color=TRUTH, linewidth=1, linestyle="-.", label=label)
        drawn.append(np.array([floor]))
    fit_log(axes, np.concatenate(drawn), cut=0.01)
    axes.set_title(title + left_out)


def leakage(power: Float[np.ndarray, " frequency"]) -> Float[np.ndarray, " frequency"]:
    """Return what a Hann window spreads of the strongest line, at most, to other frequencies.

    The side lobes of the window's transform fall as 1 / (pi k (k^2 - 1)), k bins from the line.

    Source:
        Harris (1978), Proceedings of the IEEE 66, 51-83.
    """
    peak = int(power.argmax())
    bins = np.maximum(np.abs(np.arange(len(power)) - peak), 2.0)
    return power[peak] / (np.pi * bins * (bins**2 - 1)) ** 2


def power_spectrum(samples: Float[np.ndarray, " n"]) -> Float[np.ndarray, " frequency"]:
    """Return a Hann-windowed periodogram; a sinusoid's peak is its mean square.

    Source:
        Harris (1978), Proceedings of the IEEE 66, 51-83.
    """
    window = np.asarray(np.hanning(len(samples) + 2)[1:-1])  # without its zeros at both ends
    mean = np.average(samples, weights=window)  # what is left of another one leaks
    transform = np.fft.rfft((samples - mean) * window)
    with np.errstate(over="ignore"):  # squares of a diverging free run
        return 2 * np.abs(transform / window.sum()) ** 2


def _errors_up_to(errors: Float[np.ndarray, "origin steps"]) -> Float[np.ndarray, "origin steps"]:
    """Return RMSE over the first 1, 2, ... steps; infinite from where a forecast diverged."""
    with np.errstate(over="ignore"):
        squares = np.where(np.isfinite(errors), errors, np.inf) ** 2
        return np.sqrt(np.cumsum(squares, axis=1) / np.cumsum(np.ones_like(errors), axis=1))
