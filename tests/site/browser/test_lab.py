"""JupyterLab, live: the notebook runs, a slider moves, the figure follows."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from calls import LONG
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

ROOT = Path(__file__).parents[3]
NOTEBOOK = "random_features.ipynb"  # the quickest to run

# Asked again and again, and nothing awaited: the driver does not wait for ever for one answer.
OPEN = """
    const panel = window.jupyterapp && window.jupyterapp.shell.currentWidget, context = panel && panel.sessionContext;
    return Boolean(context && context.isReady && context.session && context.session.kernel.status === "idle");
"""
RUN_ALL = "window.jupyterapp.commands.execute('notebook:run-all-cells');"
STATE = """
    const cells = window.jupyterapp.shell.currentWidget.content.model.cells, outputs = [];
    let pending = 0;
    for (const cell of cells) {
        if (cell.type !== "code") continue;
        if (!cell.executionCount) pending += 1;
        for (let i = 0; i < cell.outputs.length; i++)
            if (cell.outputs.get(i).type === "error") outputs.push(cell.outputs.get(i).toJSON().evalue);
    }
    return [pending, outputs];
"""
# The explorer's figure: the one that stands in the same widget box as sliders.
FIND = """
    const box = [...document.querySelectorAll(".jp-OutputArea-output")]
        .find((area) => area.querySelector(".widget-slider") && area.querySelector(".js-plotly-plot"));
    if (!box) return null;
    box.scrollIntoView();
    return box;
"""
# From the key press in the page to the repaint that follows: what the hand feels.
WATCH = """
    const plot = arguments[0].querySelector(".js-plotly-plot");
    window.pressed = window.repainted = null;
    arguments[0].addEventListener("keydown", () => { window.pressed ??= performance.now(); }, true);
    plot.on("plotly_afterplot", () => requestAnimationFrame(() => {
        if (window.pressed !== null) window.repainted ??= performance.now();
    }));
"""
DRAWING = """
    const plot = arguments[0].querySelector(".js-plotly-plot");
    if (!plot || !plot._fullData || !plot.layout.title) return null;  // still being made, or made anew
    return JSON.stringify([plot.layout.title.text, plot._fullData.map((trace) => [...trace.y])]);
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """A JupyterLab over a copy of the notebooks, so that its autosave touches nothing here."""
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    settings = tmp_path / "settings/@jupyterlab/notebook-extension/tracker.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"windowingMode": "none"}))  # else cells out of sight are not in the page
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [
        *(sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", f"--port={port}", "--ip=127.0.0.1"),
        *("--IdentityProvider.token=", "--LabApp.expose_app_in_browser=True", "--LabApp.news_url=None"),
    ]
    home = {name: str(tmp_path / name.lower()) for name in ("HOME", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")}
    environment = {**os.environ, **home, "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings"), "NEUREC_STATIC": "0"}
    with (tmp_path / "lab.log").open("w") as log:
        server = subprocess.Popen(words, cwd=tmp_path / "notebooks", env=environment, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/api", server, tmp_path / "lab.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(LONG)


def wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + LONG
    while True:
        try:
            with urlopen(url, timeout=5):
                return
        except OSError:
            assert server.poll() is None, log.read_text(encoding="utf-8")
            assert time.monotonic() < end, log.read_text(encoding="utf-8")
            time.sleep(0.2)


def test_the_notebook_is_alive(lab: str, browser: Chrome, capsys: pytest.CaptureFixture[str]) -> None:
    wait = WebDriverWait(browser, LONG)
    browser.get(f"{lab}/lab/tree/{NOTEBOOK}")
    wait.until(lambda b: b.execute_script(OPEN))
    browser.execute_script(RUN_ALL)
    wait.until(lambda b: b.execute_script(STATE)[0] == 0 or b.execute_script(STATE)[1])
    assert browser.execute_script(STATE) == [0, []], "every cell ran and none raised"

    box = wait.until(lambda b: b.execute_script(FIND))
    wait.until(lambda b: "ready" in box.text)
    before = wait.until(lambda b: b.execute_script(DRAWING, box))
    handle = box.find_element(By.CSS_SELECTOR, ".noUi-handle")
    times = []
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_LEFT, Keys.ARROW_RIGHT):
        browser.execute_script(WATCH, box)
        shown = wait.until(lambda b: b.execute_script(DRAWING, box))
        handle.send_keys(key)
        wait.until(lambda b: b.execute_script("return window.repainted"))
        # The page says that it is ready until the kernel has heard of the key.
        wait.until(lambda b, shown=shown: b.execute_script(DRAWING, box) not in (None, shown))
        wait.until(lambda b: "ready" in box.text)
        times.append(browser.execute_script("return window.repainted - window.pressed"))
    after = wait.until(lambda b: b.execute_script(DRAWING, box))
    assert after != before, "the figure follows the slider"
    with capsys.disabled():
        print(f"\nJupyterLab, from key to repaint: {', '.join(f'{t:.0f}' for t in times)} ms")
    if "NEUREC_SHOT" in os.environ:
        browser.save_screenshot(os.environ["NEUREC_SHOT"])
