// The shape of the view for the server; the picture of what the browser draws, with heading and colour bar, as a file.
(() => {
  const loaded = (address) =>
    new Promise((done, failed) => {
      const picture = new Image();
      picture.onload = () => done(picture);
      picture.onerror = failed;
      picture.src = address;
    });

  async function compose() {
    const scene = document.querySelector(".mmsar .scene");
    const drawn = await loaded(URL.createObjectURL(await window.trame.refs.scene.captureImage("image/png", {})));
    const canvas = document.createElement("canvas");
    const scale = drawn.height / scene.clientHeight;
    [canvas.width, canvas.height] = [scene.clientWidth * scale, drawn.height];
    const page = canvas.getContext("2d");
    page.fillStyle = "white";
    page.fillRect(0, 0, canvas.width, canvas.height);
    page.drawImage(drawn, 0, 0);
    page.scale(scale, scale);
    const bar = document.querySelector("#bar");
    const svg = new XMLSerializer().serializeToString(bar.querySelector("svg"));
    const at = bar.getBoundingClientRect();
    const edge = scene.getBoundingClientRect();
    page.drawImage(await loaded("data:image/svg+xml," + encodeURIComponent(svg)), at.x - edge.x, at.y - edge.y);
    page.textBaseline = "top";
    document.querySelectorAll("#caption > *").forEach((line, i) => {
      page.fillStyle = i ? "#444" : "black";
      page.font = `${i ? "" : "600 "}14px sans-serif`;
      page.fillText(line.textContent, 16, 14 + 20 * i);
    });
    return canvas.toDataURL("image/png");
  }

  // The server aims its cameras for the shape of the view.
  const watch = new ResizeObserver(([entry]) => {
    const { width, height } = entry.contentRect;
    if (width && height) window.trame.state.set("aspect", width / height);
  });
  const begin = setInterval(() => {
    const view = document.querySelector(".mmsar .view");
    if (!view || !window.trame?.state) return;
    clearInterval(begin);
    watch.observe(view);
  }, 50);

  let tries = 0;
  const tidying = setInterval(() => {
    const inside = window.trame?.refs?.scene?.$?.provides?.view; // what the component of trame-vtk draws with
    const done = window.mmsarTidyAxes?.(inside?.renderer); // its script may come after this one
    if (done) inside.render();
    if (done || ++tries > 600) clearInterval(tidying);
  }, 50);

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("#save-picture");
    if (!button) return;
    const link = document.createElement("a");
    link.href = await compose();
    link.download = button.dataset.name.replace(/\.h5$/, "") + ".png";
    link.click();
  });
})();
