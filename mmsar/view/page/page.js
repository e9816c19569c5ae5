// The picture of what the browser draws, with its heading and colour bar, as a file.
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
    const drawn = await loaded(await window.trame.refs.scene.captureImage("image/png", {}));
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [drawn.width, drawn.height];
    const scale = drawn.width / scene.clientWidth;
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

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("#save-picture");
    if (!button) return;
    const link = document.createElement("a");
    link.href = await compose();
    link.download = button.dataset.name.replace(/\.h5$/, "") + ".png";
    link.click();
  });
})();
