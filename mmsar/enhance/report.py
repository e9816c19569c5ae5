"""The evaluation of networks for enhancement as text: Markdown tables, and the bars it is held to."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from mmsar.enhance.consistent import SQUARES
from mmsar.enhance.evaluate import (
    BPA,
    FOCUS,
    INPUT,
    SIGMAS,
    SNRS_DB,
    SPARSE,
    THRESHOLD,
    TRUTH,
    ZERO,
    Evaluation,
    Probes,
    Scores,
)
from mmsar.enhance.probes import LEVELS_DB, LIGHT, SPACINGS
from mmsar.enhance.score import COLUMNS

PAIR = "points 4 mm apart in phase, middle"
HEADINGS = {
    "psnr": "PSNR, LS [dB]",
    "gain": "over input [dB]",
    "placed": "placed, PSNR [dB]",
    "foreground": "foreground [dB]",
    "ssim": "SSIM, masked",
    "ncc": "NCC",
    "recall": "point recall",
    "chance": "by chance",
    "false_blobs": "false blobs",
}
DIGITS = {"ssim": 3, "ncc": 3, "recall": 3, "chance": 3}
"""Digits of columns that have not two."""


class Bar(NamedTuple):
    """One thing that a good enhancement does, and what was measured."""

    what: str
    wanted: str
    got: str
    met: bool


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def number(value: float, digits: int = 2) -> str:
    """A number for a table; a dash where there is none."""
    if not np.isfinite(value):
        return "-" if np.isnan(value) else ("gone" if value < 0 else "none")
    return f"{value:.{digits}f}"


def main_table(scores: Mapping[str, Scores], seeds: Mapping[str, Sequence[float]]) -> str:
    """Every column for every contestant: means with the half width of their 95 % interval over images."""
    names = [n for n in BASELINES if n in scores] + [n for n in scores if n not in BASELINES]
    columns = ["psnr", "gain", *COLUMNS[1:]]
    rows = []
    for name in names:
        cells = [name, str(len(scores[name].gain))]
        for column in columns:
            mean, spread = scores[name].mean(column)
            digits = DIGITS.get(column, 2)
            text = number(mean, digits)
            cells.append(text if not np.isfinite(spread) else f"{text} +- {number(spread, digits)}")
        cells.append(" / ".join(number(v) for v in seeds.get(name, ())) or "-")
        rows.append(cells)
    return table(["", "images", *(HEADINGS[c] for c in columns), "over input, by seed"], rows)


BASELINES = (ZERO, THRESHOLD, INPUT, BPA, SPARSE)


def by_group(scores: Mapping[str, Scores], attribute: str) -> str:
    """Mean gain over the input by family or by kind of position error."""
    networks = [n for n in scores if n not in (ZERO, INPUT, BPA, SPARSE)]
    groups = sorted(set(getattr(scores[INPUT], attribute)))
    rows = []
    for group in groups:
        cells = [group]
        for name in (INPUT, *networks):
            mine = np.array(getattr(scores[name], attribute)) == group
            values = (scores[name].columns["psnr"] if name == INPUT else scores[name].gain)[mine]
            cells.append(number(float(values.mean())) if len(values) else "-")
        rows.append(cells)
    return table(["", "input, PSNR [dB]", *(f"{n}, over input" for n in networks)], rows)


def sweep_table(heading: str, at: Sequence[float], found: Mapping[str, Sequence[float]]) -> str:
    """Mean PSNR of everyone along a sweep."""
    names = [n for n in found if n != ZERO]
    return table([heading, *(f"{v:g}" for v in at)], [[n, *(number(v) for v in found[n])] for n in names])


def bars(result: Evaluation, best: str, other: str | None) -> list[Bar]:
    """What is wanted of the best network, from the set with the largest position error and the probes."""
    sigma = max(result.main)
    scores, probes = result.main[sigma], result.probes[best]
    mean = {name: _means(part) for name, part in scores.items()}
    text = f"at {sigma * 1e3:g} mm"
    falling = np.diff(result.sweep_sigma[best])
    perfect, scale, weak, pair, noise = _probed(probes)
    found = [
        *_with_errors(mean[best], mean[INPUT], mean[THRESHOLD], text),
        perfect,
        Bar(
            "PSNR falls with the position error",
            "at every step",
            f"largest rise {max(falling.max(), 0):.2f} dB",
            bool(falling.max() <= 0),
        ),
        scale,
        weak,
        pair,
        noise,
        Bar("tiles against the whole", "<= 1e-3", f"{probes.tiles:.1e}", probes.tiles <= 1e-3),
        Bar("256 x 256 pixels", "<= 20 ms", f"{probes.milliseconds:.1f} ms", probes.milliseconds <= 20),
    ]
    if other is not None:
        same = _same_images(scores[best], result, len(scores[other].gain))
        theirs, ours = mean[other]["gain"], same.mean("gain")[0]
        found.append(Bar(f"over {other}, same images, {text}", "> 0 dB", f"{ours - theirs:+.2f} dB", ours > theirs))
        ratio = result.probes[other].milliseconds / probes.milliseconds
        found.append(Bar(f"time of {other} over its own", ">= 40", f"{ratio:.0f}", ratio >= 40))
    return found


def chain_bars(result: Evaluation, best: str) -> list[Bar]:
    """What is wanted at the largest position error of the network behind least squares at focused poses, on the images
    that these were made of; nothing where they were not."""
    sigma = max(result.main)
    scores = result.main[sigma]
    if _chain(best) not in scores:
        return []
    mine = scores[_chain(best)]
    same = (_means(_same_images(scores[name], result, len(mine.gain))) for name in (INPUT, THRESHOLD))
    return _with_errors(_means(mine), *same, f"at {sigma * 1e3:g} mm, {len(mine.gain)} images")


def _chain(best: str) -> str:
    return f"{FOCUS}, {SQUARES}, {best}"


def _means(scores: Scores) -> dict[str, float]:
    return {column: scores.mean(column)[0] for column in (*COLUMNS, "gain")}


def _with_errors(
    mine: Mapping[str, float], given: Mapping[str, float], threshold: Mapping[str, float], text: str
) -> list[Bar]:
    """The bars of a set with position errors, from means of the columns, of the input and of its threshold."""
    over = mine["psnr"] - threshold["psnr"]
    return [
        Bar(f"PSNR over the input, {text}", ">= 7 dB", f"{mine['gain']:.2f} dB", mine["gain"] >= 7),
        Bar(f"PSNR over the threshold, {text}", ">= 5 dB", f"{over:.2f} dB", over >= 5),
        Bar(
            f"point recall, {text}",
            f">= {given['recall']:.3f} (input)",
            f"{mine['recall']:.3f}",
            mine["recall"] >= given["recall"],
        ),
        Bar(
            f"false blobs, {text}",
            f"< {given['false_blobs']:.2f} (input)",
            f"{mine['false_blobs']:.2f}",
            mine["false_blobs"] < given["false_blobs"],
        ),
    ]


def sparse_bars(result: Evaluation) -> list[Bar]:
    """What is wanted of an enhancement and can be asked of sparse reconstruction from the samples."""
    return _probed(result.probes[SPARSE])


def _probed(probes: Probes) -> list[Bar]:
    """The bars of the probes: perfect input, scale, weak amplitude, close pair, noise."""
    weak = abs(probes.amplitude[LEVELS_DB.index(-20)] + 20)
    middle = probes.two_points.in_phase[SPACINGS.index(4e-3)]
    return [
        Bar("perfect input", ">= -0.1 dB", f"{probes.exact:+.2f} dB", probes.exact >= -0.1),
        Bar("input times 0.1 to 10", "< 0.1 dB", f"{probes.scale:.3f} dB", probes.scale < 0.1),
        Bar(
            "error of an amplitude at -20 dB",
            "<= 3 dB",
            "gone" if np.isinf(weak) else f"{number(weak, 1)} dB",
            bool(weak <= 3),
        ),
        Bar(PAIR, "<= 0.7", number(middle), bool(middle <= 0.7)),
        Bar("noise only, pixels lit", "<= 0.5 %", f"{100 * probes.noise:.2f} %", probes.noise <= 0.005),
    ]


def _same_images(scores: Scores, result: Evaluation, count: int) -> Scores:
    """Scores of the images that slow contestants saw: the first ones of every set."""
    first = np.arange(count // result.seeds)
    kept = np.concatenate([s * result.images + first for s in range(result.seeds)])
    return Scores(
        columns={name: values[kept] for name, values in scores.columns.items()},
        gain=scores.gain[kept],
        family=[scores.family[i] for i in kept],
        kind=[scores.kind[i] for i in kept],
    )


def bars_table(found: Sequence[Bar]) -> str:
    """The bars, met and missed."""
    return table(
        ["", "wanted", "got", ""], [[b.what, b.wanted, b.got, "met" if b.met else "**missed**"] for b in found]
    )


def probe_tables(result: Evaluation) -> str:
    """All probes."""
    parts = []
    names = list(result.probes)
    rows = [[n, *(number(v, 1) for v in result.probes[n].amplitude)] for n in names]
    parts.append("Isolated pair 40 mm apart: weak over strong as shown [dB].\n")
    parts.append(table(["true [dB]", *(f"{v:g}" for v in LEVELS_DB)], rows))
    parts.append(
        "\nTwo equal points: middle over the smaller peak; 1 or more is unresolved, `none` that a point is gone.\n"
    )
    rows = []
    for name in names:
        for what in ("in_phase", "quadrature"):
            values = getattr(result.probes[name].two_points, what)
            rows.append([f"{name}, {what.replace('_', ' ')}", *(number(v) for v in values)])
    parts.append(table(["distance [mm]", *(f"{v * 1e3:g}" for v in SPACINGS)], rows))
    parts.append("")
    rows = [
        [
            n,
            f"{100 * p.noise:.2f} %",
            f"{100 * p.speckle:.1f} %",
            f"{p.scale:.3f} dB",
            f"{p.exact:+.2f} dB",
            "-" if np.isnan(p.tiles) else f"{p.tiles:.1e}",
            f"{p.milliseconds:.1f} ms",
        ]
        for n, p in result.probes.items()
    ]
    lit = f"above {LIGHT:g} of the input's peak"
    heading = ["", f"noise only, {lit}", f"speckle only, {lit}", "input x 0.1 ... 10", "perfect input", "tiles", "time"]
    parts.append(table(heading, rows))
    return "\n".join(parts)


def sets_table(result: Evaluation) -> str:
    """Mean gain over the input on sets out of the distribution."""
    names = [n for n in result.probes if n not in (INPUT, SPARSE)]
    rows = []
    for what, scores in result.sets.items():
        cells = [what, number(scores[INPUT].mean("psnr")[0]), number(scores[THRESHOLD].mean("gain")[0])]
        rows.append(cells + [number(scores[n].mean("gain")[0]) for n in names])
    return table(["", "input, PSNR [dB]", f"{THRESHOLD}, over input", *(f"{n}, over input" for n in names)], rows)


def _sparse_part(result: Evaluation) -> list[str]:
    """What sparse reconstruction, where it took part, makes of the same bars."""
    if SPARSE not in result.probes:
        return []
    return [
        "The same of `sparse`, which is no network: `mmsar reconstruct --sparse` of the samples (see "
        "[methods](methods.md)), with blobs as wide as the labels':",
        "",
        bars_table(sparse_bars(result)),
        "",
    ]


def _chain_part(result: Evaluation, best: str) -> list[str]:
    """The bars at position errors, where autofocus and least squares took part."""
    found = chain_bars(result, best)
    if not found:
        return []
    text = f"The same of `{_chain(best)}`: positions from the samples first, then the scene, then the network."
    return [text, "", bars_table(found), ""]


def _focus_part(result: Evaluation) -> list[str]:
    """What the rows of true and of focused poses are."""
    parts = [
        f"`{TRUTH}` is the image of the same samples at the positions where the antennas really were, "
        f"`{TRUTH}, network` what the network makes of it: the most that knowing the positions could bring; "
        f"{result.few} images of each set.",
        "",
    ]
    if any(FOCUS in scores for scores in result.main.values()):
        parts += [
            f"`{FOCUS}` is the image at the poses that `mmsar align --autofocus` finds (at the recorded ones where it "
            f"says that it did not help) on three slices as deep as objects lie off the plane, `{FOCUS}, network` what "
            f"the network makes of it; {result.few} images of each set. What moves the whole image is not told by the "
            "samples, and counts against it "
            "([autofocus](autofocus.md)).",
            "",
        ]
    if any(f"{TRUTH}, {SQUARES}" in scores for scores in result.main.values()):
        parts += [
            f"`{SQUARES}` is that of the samples at those positions ([as](methods.md#least-squares) "
            "`mmsar reconstruct --least-squares`, without its margin), no network in it, "
            f"`{SQUARES}, network` what the network makes of that.",
            "",
        ]
    return parts


def _the_word(probes: Probes) -> str:
    """Whether enhancement may be called super-resolution."""
    said = "The word is *enhancement*: sidelobes and noise are suppressed. "
    if not next(bar.met for bar in _probed(probes) if bar.what == PAIR):
        return said + "It is not super-resolution while the bar of two points 4 mm apart is missed."
    return said + (
        "Of points closer than the aperture resolves, pairs whose dip the image still hints at are taken apart (the "
        "bar of two points 4 mm apart); where the image has none, no dip is made up (2 and 3 mm)."
    )


def markdown(result: Evaluation, *, best: str, other: str | None, label: str, machine: str, command: str) -> str:
    """The whole report, without its pictures."""
    r = result.recipe
    parts = [
        "# How well enhancement works",
        "",
        f"Written by `{command}` in {result.seconds / 60:.0f} minutes on {machine}.",
        "",
        f"{r.pixels} x {r.pixels} pixels of {r.pixel * 1e3:.2f} mm from {r.rows * r.channels} x {r.columns} elements, "
        f"{r.start / 1e9:g} GHz + {r.bandwidth / 1e9:g} GHz, slices {min(r.depths):g} to {max(r.depths):g} m away, SNR "
        f"of a sample {r.snr_db[0]:g} to {r.snr_db[1]:g} dB, amplitudes over {r.amplitude_db:g} dB; families never "
        f"trained on ({', '.join(r.test)}), {result.seeds} sets of {result.images} images with seeds of their own, "
        f"{result.few} of each for what is slow. Label: *{label}*. What the columns are: `mmsar.enhance.score`. "
        "+- is the half width of the 95 % interval over images.",
        "",
        "Position errors are white, along a rail, by hand or mixed, equally likely. At 77 GHz an error of 1 mm in "
        "depth turns the phase by 185 degrees: white errors of that size leave nothing of an image that a network for "
        "images could bring back, smooth ones move and smear it.",
        "",
        *_focus_part(result),
    ]
    for sigma in sorted(result.main):
        parts += [
            f"## Position error {sigma * 1e3:g} mm",
            "",
            main_table(result.main[sigma], result.by_seed[sigma]),
            "",
        ]
        parts += ["By kind of error:", "", by_group(result.main[sigma], "kind"), ""]
        parts += ["By family:", "", by_group(result.main[sigma], "family"), ""]
    parts += [
        f"## What is wanted of `{best}`",
        "",
        bars_table(bars(result, best, other)),
        "",
        _the_word(result.probes[best]),
        "",
        *_chain_part(result, best),
        *_sparse_part(result),
        "## Probes",
        "",
        probe_tables(result),
        "",
        "## Sweeps",
        "",
        "Mean PSNR [dB], SNR 20 dB, over the position error (slow networks: that of the input plus their mean gain):",
        "",
        sweep_table("error [mm]", [s * 1e3 for s in SIGMAS], result.sweep_sigma),
        "",
        "Mean PSNR [dB], position error 0.2 mm, over the SNR of a sample:",
        "",
        sweep_table("SNR [dB]", SNRS_DB, result.sweep_snr),
        "",
        "## Other data than it was trained on",
        "",
        "Position error 0.2 mm unless said otherwise.",
        "",
        sets_table(result),
        "",
    ]
    if result.paper:
        rows = [[name, number(value)] for name, value in result.paper.items()]
        parts += [
            "## By the published protocol",
            "",
            "Input, label and outputs are normalised together by the least and largest of all, the input at the "
            "brightness it happens to have. So its row is that of an image of zeros, and what is above it is no gain. "
            "The numbers are here to be compared with published ones only; outputs have their least-squares gain.",
            "",
            table(["", "PSNR [dB]"], rows),
            "",
        ]
    return "\n".join(parts)
