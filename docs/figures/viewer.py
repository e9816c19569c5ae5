"""The picture of the browser's view in docs/viewer.md.

    npm install --prefix tests/view/web     # once: playwright-core, which moves the browser
    python docs/figures/viewer.py           # writes docs/images/viewer.png; needs mmsar[web], chromium and node

A pair of scissors on a turntable is simulated and imaged as its description says (data/scenes/scissors.toml), served by
`mmsar view --serve`, and opened in a headless Chromium.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEVEL = -12
"""Where the outermost surface is [dB re peak]."""
STEPS = """
await page.setViewportSize({{ width: 1200, height: 760 }});
await page.goto({url!r});
await page.waitForSelector('.scene[data-drawn] canvas');
await page.fill('#level', '{level}');
await page.waitForFunction(text => document.querySelector('#caption').innerText.includes(text), 'at {level},');
await page.waitForTimeout(3000);
await page.locator('#level').blur();
await page.screenshot({{ path: {target!r} }});
"""


def main() -> None:
    """Make the image, serve it, take the picture."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None or shutil.which("node") is None:
        raise SystemExit("needs chromium and node: sudo apt install chromium nodejs npm")
    mmsar = [sys.executable, "-m", "mmsar"]
    with tempfile.TemporaryDirectory() as folder:
        scan, image = Path(folder) / "scan.h5", Path(folder) / "scissors.h5"
        subprocess.run([*mmsar, "simulate", ROOT / "data/scenes/scissors.toml", "-o", scan], check=True)
        subprocess.run([*mmsar, "reconstruct", scan, "-o", image], check=True)
        scan.unlink()
        serve = [*mmsar, "view", str(image), "--serve", "--port", "0"]
        with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as server:
            url = server.stdout.readline().split()[1]
            target = ROOT / "docs/images/viewer.png"
            take_picture(chromium, STEPS.format(url=url, level=LEVEL, target=str(target)))
            server.terminate()
    print(target)


def take_picture(chromium: str, steps: str) -> None:
    """Have the browser of the tests do some steps."""
    command = ["node", "browser.cjs", chromium]
    folder = ROOT / "tests/view/web"
    done = subprocess.run(
        command, cwd=folder, input=json.dumps({"run": steps}) + "\n", capture_output=True, text=True, check=True
    )
    answer = json.loads(done.stdout)
    if "error" in answer:
        raise SystemExit(answer["error"])


if __name__ == "__main__":
    main()
