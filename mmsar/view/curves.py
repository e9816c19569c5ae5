"""Curves of a training run."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from mmsar.errors import GeometryError
from mmsar.view.given import AxesLike, given_axes, root_figure

PANELS = ("loss", "rate")


def training_figure(
    curves: Sequence[Mapping[str, float]], *, title: str | None = "training", axes: AxesLike | None = None
) -> Figure:
    """Losses of training and validation over steps, the validation's best marked, with the learning rate beneath.

    Parameters
    ----------
    curves : sequence of mapping
        `mmsar.enhance.train.loop.TrainResult.curves`: "step", "rate", "loss" and, with validation, "validation".
    title : str, optional
        Heading.
    axes : sequence of Axes, optional
        Where to draw: two, in the order of `PANELS`. Default: a new figure.

    Raises
    ------
    GeometryError
        No step, another number of axes.
    """
    if not curves:
        raise GeometryError("training_figure: got no step of a training, wanted at least one")
    if axes is None:
        figure = Figure(figsize=(7.0, 4.5), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": (3, 1)})
    else:
        above, below = given_axes("training_figure", axes, PANELS)
        figure = root_figure(above)
    steps = [line["step"] for line in curves]
    above.plot(steps, [line["loss"] for line in curves], label="training")
    judged = [(line["step"], line["validation"]) for line in curves if "validation" in line]
    if judged:
        above.plot(*zip(*judged, strict=True), label="validation, averaged weights")
        best = min(judged, key=lambda point: point[1])
        above.plot(*best, "o", color="C1", label=f"best: {best[1]:.4g} at step {best[0]:g}")
    above.set(ylabel="loss", yscale="log")
    if title:
        above.set_title(title)
    above.grid(True, which="both", alpha=0.3)
    above.legend(frameon=False)
    below.plot(steps, [line["rate"] for line in curves], color="0.4")
    below.set(xlabel="step", ylabel="rate")
    return figure
