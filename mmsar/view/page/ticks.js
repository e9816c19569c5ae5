// Ticks of the axes that leave the corners free: at a corner the labels of two axes would lie on each other.
(() => {
  const CORNER = 0.06; // share of an axis

  function ticksOf(low, high) {
    const rough = (high - low) / 6;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].find((nice) => nice * power >= rough) * power;
    const edge = CORNER * (high - low);
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    const ticks = [];
    for (let i = Math.ceil((low + edge) / step); i * step <= high - edge; i++) ticks.push(i * step);
    return { ticks, strings: ticks.map((tick) => (tick + 0).toFixed(digits).replace("-", "\u2212")) };
  }

  function ofBounds(bounds) {
    const axes = [0, 1, 2].map((axis) => ticksOf(bounds[2 * axis], bounds[2 * axis + 1]));
    return { ticks: axes.map((axis) => axis.ticks), tickStrings: axes.map((axis) => axis.strings) };
  }

  // Give the axes of a renderer of vtk.js these ticks; false while it has none.
  window.mmsarTidyAxes = (renderer) => {
    const axes = renderer?.getViewProps?.().filter((prop) => prop.isA("vtkCubeAxesActor")) ?? [];
    axes.forEach((actor) => actor.setGenerateTicks(ofBounds));
    return axes.length > 0;
  };
})();
