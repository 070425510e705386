"""What `neurec plot` makes of a figure: a page, a picture, or a film of one that moves."""

from __future__ import annotations

import logging
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..params import BadInput, shortened
from ..style import CONFIG, FRAME_MS
from .inputs import RunFailed

if TYPE_CHECKING:
    import plotly.graph_objects as go

SIZE = {"width": 1000, "height": 560}
# A GIF has 256 colours, which ffmpeg chooses from all frames; players of MP4 want this form of colours.
CODED = {
    "gif": ["-filter_complex", "split[a][b];[a]palettegen[p];[b][p]paletteuse"],
    "mp4": ["-pix_fmt", "yuv420p"],
}


def content(fig: go.Figure, kind: str) -> bytes:
    """A figure as a file of kind "html", "png", "gif" or "mp4".

    Raises
    ------
    RunFailed : "--gif needs ffmpeg, which is not installed; --html does not", or a browser that is not there
    BadInput : a film of a figure that does not move
    """
    if kind == "html":
        page: str = fig.to_html(include_plotlyjs=True, include_mathjax=False, config=CONFIG)
        return page.encode()
    if kind == "png":
        picture: bytes = _by_browser(kind, lambda: fig.to_image("png", **SIZE, scale=2))
        return picture
    return _film(fig, kind)


def require_ffmpeg(kind: str) -> str:
    """The path of ffmpeg, without which there is no film."""
    found = shutil.which("ffmpeg")
    if found is None:
        raise RunFailed(f"--{kind} needs ffmpeg, which is not installed; --html does not")
    return found


def require_frames(fig: go.Figure, kinds: Sequence[str]) -> None:
    """Refuse a film of a figure that does not move.

    Raises
    ------
    BadInput : "--gif (a film) needs a figure that moves, and this one does not: use --png"
    """
    for kind in CODED.keys() & kinds:
        if not fig.frames:
            raise BadInput(f"--{kind} (a film) needs a figure that moves, and this one does not: use --png")


def _film(fig: go.Figure, kind: str) -> bytes:
    import plotly.io as pio

    require_frames(fig, [kind])
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder, f"{i:05}.png") for i in range(len(fig.frames))]
        _by_browser(kind, lambda: pio.write_images(stills(fig), places, **SIZE, scale=1, validate=False))
        film = Path(folder, f"film.{kind}")
        words = [require_ffmpeg(kind), "-loglevel", "error", "-framerate", f"1000/{FRAME_MS}"]
        words += ["-i", f"{folder}/%05d.png", *CODED[kind], str(film)]
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
        if done.returncode or not film.is_file():
            reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            raise RunFailed(f"--{kind} needs an ffmpeg that can write it ({shortened(reason)}); --html needs none")
        return film.read_bytes()


def stills(fig: go.Figure) -> list[dict[str, Any]]:
    """What a figure shows at each of its frames, with the frame's name in its title, without buttons and slider."""
    whole = fig.to_dict()
    layout = {name: part for name, part in whole["layout"].items() if name not in ("updatemenus", "sliders")}
    (words, end, small), label = layout["title"]["text"].partition("<br>"), layout["meta"]["frame_label"]
    shown = []
    for frame in whole["frames"]:
        data = list(whole["data"])
        for i, moved in zip(frame.get("traces", range(len(frame["data"]))), frame["data"], strict=True):
            data[i] = {**data[i], **moved}
        title = {**layout["title"], "text": f"{words}, {label} {frame['name']}{end}{small}"}
        margin = {**layout["margin"], "b": 100}  # where the slider was
        shown.append({"data": data, "layout": {**layout, "title": title, "margin": margin}})
    return shown


def _by_browser(kind: str, make: Callable[[], Any]) -> Any:
    logging.disable(logging.CRITICAL)  # the browser's driver logs what is said here in one line
    try:
        return make()
    except Exception as error:  # kaleido's errors have no common class
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise RunFailed(f"--{kind} needs Chrome or Chromium ({shortened(reason)}); --html needs neither") from None
    finally:
        logging.disable(logging.NOTSET)
