"""Curves of a training run."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure


def training_figure(curves: Sequence[Mapping[str, float]], *, title: str = "training") -> Figure:
    """Losses of training and validation over steps, the validation's best marked, with the learning rate beneath.

    Parameters
    ----------
    curves : sequence of mapping
        `mmsar.enhance.train.loop.TrainResult.curves`: "step", "rate", "loss" and, with validation, "validation".
    """
    figure = Figure(figsize=(7.0, 4.5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (3, 1)})
    steps = [line["step"] for line in curves]
    above.plot(steps, [line["loss"] for line in curves], label="training")
    judged = [(line["step"], line["validation"]) for line in curves if "validation" in line]
    if judged:
        above.plot(*zip(*judged, strict=True), label="validation, averaged weights")
        best = min(judged, key=lambda point: point[1])
        above.plot(*best, "o", color="C1", label=f"best: {best[1]:.4g} at step {best[0]:g}")
    above.set(ylabel="loss", title=title, yscale="log")
    above.grid(True, which="both", alpha=0.3)
    above.legend(frameon=False)
    below.plot(steps, [line["rate"] for line in curves], color="0.4")
    below.set(xlabel="step", ylabel="rate")
    return figure
