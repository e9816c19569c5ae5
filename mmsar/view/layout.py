"""Where panels go on a figure, in inches: one scale for all of them, margins wide enough for their labels."""

from matplotlib.figure import Figure

EDGE = {"left": 0.8, "bottom": 0.65, "top": 0.3, "title": 0.3, "right": 0.85}
"""Margins [inch]: the left and lower ones hold labels, the right one those of the colour bar."""
BAR = {"gap": 0.2, "width": 0.18}
"""Colour bar [inch]."""
GAP = {"column": 0.3, "row": 0.42}
"""Space between panels [inch]; that between rows holds a caption."""
LARGEST = (6.0, 6.0)
"""Room for all panels across and up [inch]."""
SMALLEST = 0.8
"""Shortest side of a panel [inch]; a thinner one is stretched, and its label says so."""
Rectangle = tuple[float, float, float, float]


def panel_sizes(
    spans: dict[str, float],
    *,
    across: list[list[str]],
    up: list[list[str]],
    room: tuple[float, float] = LARGEST,
) -> dict[str, float]:
    """Length of every axis on the page.

    Parameters
    ----------
    spans : dict
        Axis name -> extent [mm].
    across, up : list of lists of names
        Axes that stand beside each other (or above each other) and must fit together.
    room : (across, up)
        Room for them [inch].

    Returns
    -------
    dict
        Axis name -> length [inch]: extents times one scale, at least `SMALLEST`.
    """
    scale = min(
        length / sum(spans[name] for name in group)
        for groups, length in zip((across, up), room, strict=True)
        for group in groups
    )
    return {name: max(span * scale, SMALLEST) for name, span in spans.items()}


class Sheet:
    """A page of panels in columns (from the left) and rows (from below), with a title and a colour bar."""

    def __init__(self, title: str | None) -> None:
        self._title = title
        self._columns: list[tuple[float, float]] = []
        self._rows: list[tuple[float, float]] = []

    def add_column(self, width: float, *, gap: float | None = None) -> None:
        """One more column [inch]; `gap` is the space before it."""
        self._columns.append(self._next(self._columns, EDGE["left"], GAP["column"] if gap is None else gap, width))

    def add_row(self, height: float) -> None:
        """One more row above the last [inch]."""
        self._rows.append(self._next(self._rows, EDGE["bottom"], GAP["row"], height))

    @staticmethod
    def _next(placed: list[tuple[float, float]], first: float, gap: float, size: float) -> tuple[float, float]:
        return (first if not placed else sum(placed[-1]) + gap, size)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the page [inch]."""
        width = sum(self._columns[-1]) + BAR["gap"] + BAR["width"] + EDGE["right"]
        height = sum(self._rows[-1]) + EDGE["top"] + (EDGE["title"] if self._title else 0.0)
        return width, height

    def figure(self) -> Figure:
        """An empty figure of the page's size, with the title."""
        width, height = self.size
        figure = Figure(figsize=(width, height))
        if self._title:
            figure.text(0.5, 1 - 0.5 * EDGE["title"] / height, self._title, ha="center", va="center", fontsize=12)
        return figure

    def place(self, column: int, row: int) -> Rectangle:
        """Where a panel stands, in fractions of the page."""
        return self._fractions(*self._columns[column], *self._rows[row])

    def bar(self) -> Rectangle:
        """Where the colour bar stands: right of the panels, beside the lowest row, or longer where that is low."""
        bottom, height = self._rows[0]
        if height < 2.0:
            height = max(height, min(3.0, sum(self._rows[-1]) - bottom))
        return self._fractions(sum(self._columns[-1]) + BAR["gap"], BAR["width"], bottom, height)

    def _fractions(self, left: float, width: float, bottom: float, height: float) -> Rectangle:
        w, h = self.size
        return left / w, bottom / h, width / w, height / h
