"""A built site behind a local address, and a browser that can reach nothing else."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from calls import LONG
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

ROOT = Path(__file__).parents[3]
FRONT = "book/intro.html"
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # containers run as root, where Chromium's sandbox does not start
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--window-size=1280,1000",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
)


def missing(what: str) -> NoReturn:
    """Fail in continuous integration, where everything is installed; skip on a machine that lacks it."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(what)


def site_folder() -> Path:
    """Where the built site lies: NEUREC_SITE, or where `make book` puts it."""
    return Path(os.environ.get("NEUREC_SITE") or ROOT / "_build" / "html")


def notebook_pages() -> list[str]:
    """The notebooks' pages in the built site."""
    folder = site_folder()
    return sorted(path.relative_to(folder).as_posix() for path in folder.glob("notebooks/*.html"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for `figure_page` once for each such page, all tests of a page one after another."""
    if "figure_page" in metafunc.fixturenames:
        metafunc.parametrize("figure_page", [FRONT, *notebook_pages()], scope="module")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line on the terminal for each."""

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """The base URL of the built site."""
    folder = site_folder()
    if not (folder / "index.html").is_file():
        missing(f"there is no built site in {folder}: run `make book`, or set NEUREC_SITE")
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")  # one that stays open goes on drawing its last page beside all other tests
def browser() -> Iterator[webdriver.Chrome]:
    """Headless Chromium that resolves no name but this machine's."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        missing("Chromium is not installed: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=Service(driver))
    # However busy the machine: the driver's answers, pages and scripts may take as long as anything here.
    chrome.command_executor.client_config.timeout = LONG
    chrome.set_page_load_timeout(LONG)
    chrome.set_script_timeout(LONG)
    yield chrome
    chrome.quit()
