"""Pages, pictures and films of figures: what `neurec plot` writes, with a stand-in for the browser and for ffmpeg."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
import shutil
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import plotly.graph_objects as go
import pytest
from toys import TOY

from neurec_core import drawing, papers
from neurec_core.__main__ import main
from neurec_core.cli import pictures
from neurec_core.experiment import Grid
from neurec_core.figures import Computed, Curves
from neurec_core.params import BadInput
from neurec_core.style import FRAME_MS, player, style
from neurec_core.sweep import sweep

SIDE = 16


def moving():
    """A line at rest and a point that moves, in three frames."""
    at_rest, point = {"x": [0, 1], "y": [5, 5]}, {"x": [0], "y": [0], "marker": {"size": 7}}
    frames = [go.Frame(name=str(step), data=[{"x": [step], "y": [step**2]}], traces=[1]) for step in (0, 2, 7)]
    fig = style(go.Figure(data=[at_rest, point], frames=frames), "", alt="")
    return player(fig, "A point<br><sup>in small print</sup>", "a point that moves")


def resting():
    return style(go.Figure(data=[{"x": [0], "y": [1]}]), "At rest", alt="at rest")


def square(level):
    """A grey PNG of 16 x 16 pixels."""
    rows = (b"\0" + bytes([level] * SIDE)) * SIDE
    parts = ((b"IHDR", struct.pack(">2I5B", SIDE, SIDE, 8, 0, 0, 0, 0)), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    chunks = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.fixture
def browser(monkeypatch):
    """A stand-in that paints each picture in a grey of its own, and what it was asked for."""
    asked = []

    def write(figures, places, **size):
        asked.extend(figures)
        for i, place in enumerate(places):
            Path(place).write_bytes(square(80 * i))

    monkeypatch.setattr("plotly.io.write_images", write)
    return asked


@pytest.fixture
def plot(tmp_path, monkeypatch, capsys):
    """`neurec plot` of a toy with figures that are computed; in its folder."""
    figures = {"film": Computed(f"{__name__}:moving"), "still": Computed(f"{__name__}:resting"), "heads": Curves("x")}
    experiment = dataclasses.replace(TOY, figures=figures)
    monkeypatch.setattr(papers, "experiment", lambda name: experiment)
    sweep(TOY, Grid({"x": [1, 2]}, 2), out=tmp_path / "runs", progress=False)
    monkeypatch.chdir(tmp_path)

    def call(*words):
        status = main(["plot", "runs", *map(str, words)])
        return status, *capsys.readouterr()

    return call


def stand_in(folder, monkeypatch, *, fails=False):
    """An ffmpeg that notes its words, and the pictures beside them, and writes a file; the only program there is."""
    code = (
        "import json, pathlib, sys\n"
        "words = sys.argv[1:]\n"
        "pictures = sorted(p.read_bytes().hex() for p in pathlib.Path(words[words.index('-i') + 1]).parent.iterdir())\n"
        f"json.dump([words, pictures], open({str(folder / 'noted.json')!r}, 'w'))\n"
    )
    code += "sys.exit('no such\\ncodec')\n" if fails else "pathlib.Path(words[-1]).write_bytes(b'a film')\n"
    (folder / "bin").mkdir()
    program = folder / "bin" / "ffmpeg"
    program.write_text(f"#!{sys.executable}\n{code}", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder / "bin"))


@pytest.mark.parametrize("kind", ["gif", "mp4"])
def test_a_film_is_made_of_a_picture_of_each_frame(plot, browser, tmp_path, monkeypatch, kind):
    stand_in(tmp_path, monkeypatch)
    assert plot("--figure", "film", f"--{kind}", "film.out") == (0, "film.out\n", "")
    assert Path("film.out").read_bytes() == b"a film"
    words, seen = json.loads(Path("noted.json").read_text(encoding="utf-8"))
    assert sorted(square(80 * i).hex() for i in range(3)) == seen
    rate = words[words.index("-framerate") + 1]
    assert rate == f"1000/{FRAME_MS}", "as fast as the page plays"
    assert words[-1].endswith(f".{kind}")
    assert ("palettegen" in " ".join(words), "yuv420p" in words) == ((kind == "gif"), (kind == "mp4"))
    assert [still["data"][1]["x"] for still in browser] == [[0], [2], [7]]


def test_a_still_is_the_figure_at_its_frame_without_buttons():
    fig = moving()
    for still, step in zip(pictures.stills(fig), (0, 2, 7), strict=True):
        assert still["data"][0]["y"] == [5, 5]
        point = still["data"][1]
        assert (point["x"], point["y"], point["marker"]) == ([step], [step**2], {"size": 7})
        assert still["layout"]["title"]["text"] == f"A point, step {step}<br><sup>in small print</sup>"
        assert not {"updatemenus", "sliders"} & still["layout"].keys()
        assert still["layout"]["template"] == fig.to_dict()["layout"]["template"]
    assert fig.layout.updatemenus
    assert list(fig.data[1].x) == [0], "the figure itself is as it was"


def test_a_film_needs_ffmpeg_and_says_so_before_anything_is_computed(plot, browser, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(drawing, "draw", lambda *_: pytest.fail("computed"))
    for kind in ("gif", "mp4"):
        status, out, err = plot("--figure", "film", f"--{kind}", "film.out")
        assert (status, out) == (1, "")
        assert err == f"neurec: --{kind} needs ffmpeg, which is not installed; --html does not\n"
    assert not Path("film.out").exists()


def test_an_ffmpeg_that_fails_is_one_line(plot, browser, tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch, fails=True)
    status, out, err = plot("--figure", "film", "--gif", "film.gif")
    assert (status, out, err.splitlines()) == (
        1, "", ["neurec: --gif needs an ffmpeg that can write it (codec); --html needs none"]
    )  # fmt: skip
    assert not Path("film.gif").exists()


def test_a_film_without_a_browser_is_one_line(plot, tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch)
    monkeypatch.setattr("plotly.io.write_images", lambda *_, **__: 1 / 0)
    status, _, err = plot("--figure", "film", "--gif", "film.gif")
    assert status == 1
    assert err == "neurec: --gif needs Chrome or Chromium (division by zero); --html needs neither\n"


def test_a_figure_that_does_not_move_makes_no_film(plot, browser, tmp_path, monkeypatch):
    stand_in(tmp_path, monkeypatch)
    for words in (["--figure", "still"], []):
        status, _, err = plot(*words, "--gif", "film.gif")
        assert status == 2
        assert err == "neurec: --gif (a film) needs a figure that moves, and this one does not: use --png\n"


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg, which makes films, is not installed")
@pytest.mark.parametrize("kind", ["gif", "mp4"])
def test_ffmpeg_writes_a_film_of_as_many_frames(plot, browser, kind):
    assert plot("--figure", "film", f"--{kind}", f"film.{kind}")[0] == 0
    read = ["ffmpeg", "-loglevel", "error", "-i", f"film.{kind}", "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    raw = subprocess.run(read, capture_output=True, check=True).stdout
    greys = [raw[i * SIDE**2 + SIDE**2 // 2] for i in range(len(raw) // SIDE**2)]
    shown = [greys[0], *(b for a, b in itertools.pairwise(greys) if b != a)]
    assert len(shown) == 3, "each picture once or, in a row, more than once"
    assert all(abs(grey - 80 * i) < 10 for i, grey in enumerate(shown))


def test_a_computed_figure_shows_no_rows_and_is_drawn_by_its_name_only(plot, tmp_path):
    assert plot("--figure", "film", "--html", "film.html")[0] == 0
    page = Path("film.html").read_text(encoding="utf-8")
    assert re.search(r"addFrames\(\s*.[0-9a-f-]{36}", page), "the page plays its frames"
    assert plot()[1] == f"{Path('runs', 'figure.html')}\n"
    assert "a point that moves" not in Path("runs/figure.html").read_text(encoding="utf-8")
    status, _, err = plot("--figure", "film", "--where", "x=1")
    assert (status, len(err.splitlines())) == (2, 1)
    assert "--where (rows to draw) does not go with figure film, which is computed and shows no rows" in err
    lacking = dataclasses.replace(TOY, figures={"film": Computed(f"{__name__}:moving")})
    assert len(drawing.draw(None, lacking).frames) == 3, "the only one, without a table"
    assert drawing.fitting(None, lacking) is None
    with pytest.raises(BadInput, match="unknown figure 'flim': did you mean film"):
        drawing.draw(None, lacking, "flim")
