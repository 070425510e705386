"""The built site is alive with the network cut off: what a reader sees, hears and can operate."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import pytest
from calls import LONG
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

FIGURE = "figure.neurec-figure"
FRONT = "book/intro.html"

# What the theme itself logs on every page, with us or without.
HARMLESS = (
    r"Identifier 'THEBE_JS_URL' has already been declared",  # sphinx-thebe adds its script twice
    r"Got invalid theme mode: \. Resetting to auto\.",  # pydata-sphinx-theme on a reader's first visit
)

DRAWN = f"""
    const states = [...document.querySelectorAll("{FIGURE}")].map((figure) => figure.dataset.state);
    return states.every((state) => state === "drawn" || state === "failed");
"""
OUTSIDE = """
    return performance.getEntriesByType("resource").map((entry) => entry.name)
        .filter((name) => !name.startsWith(location.origin) && !name.startsWith("data:"));
"""
MOUSE = """
    const real = window.matchMedia.bind(window);
    window.matchMedia = (query) => query === "(hover: hover)" ? { matches: true } : real(query);
"""
# Everything that is drawn: the data as plotly holds them after decoding, and the words of the layout.
DRAWING = """
    const plot = arguments[0].querySelector(".js-plotly-plot");
    const plain = (value) => ArrayBuffer.isView(value) ? [...value] : value;
    const data = plot._fullData.map((trace) => [trace.x, trace.y, trace.z, trace.text].map(plain));
    return JSON.stringify([data, plot.layout.title, plot.layout.annotations]);
"""


@pytest.fixture
def page(site: str, browser: Chrome, figure_page: str) -> Chrome:
    """A page with figures, once everything on it is drawn; the tests of a page follow one another and load it once.

    It believes that there is a mouse, without which the site leaves plotly's buttons out; headless Chromium has none.
    """
    url = f"{site}/{figure_page}"
    if browser.current_url.partition("#")[0] == url:
        return browser
    script = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": MOUSE})
    try:
        return visit(browser, url)
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)


@pytest.fixture
def phone(browser: Chrome) -> Iterator[Chrome]:
    """The browser as wide as a phone."""
    size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.get("about:blank")  # else what is open is laid out again, before and after
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    yield browser
    browser.get("about:blank")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def visit(browser: Chrome, url: str) -> Chrome:
    """Open a page and wait until every figure is drawn, or has said why not."""
    browser.get_log("browser")  # what an earlier page left
    browser.get(url)
    WebDriverWait(browser, LONG).until(lambda b: b.execute_script(DRAWN), "figures are not drawn")
    return browser


def figures(browser: Chrome, kind: str = "") -> list[WebElement]:
    """The page's figures, or those of one kind."""
    return browser.find_elements(By.CSS_SELECTOR, FIGURE + (f"[data-kind={kind}]" if kind else ""))


def drawing(browser: Chrome, figure: WebElement) -> str:
    """What a figure shows."""
    return str(browser.execute_script(DRAWING, figure))


def wait_for_change(browser: Chrome, figure: WebElement, before: str) -> None:
    """Wait until a figure shows something else."""
    changed = WebDriverWait(browser, LONG, poll_frequency=0.05)
    changed.until(lambda b: drawing(b, figure) != before, "the drawing did not change")


def pass_frames(browser: Chrome) -> None:
    """Let the page draw sixty times: what still moves has moved by then."""
    browser.execute_async_script("""
        const done = arguments[0];
        const next = (left) => (left ? requestAnimationFrame(() => next(left - 1)) : done());
        next(60);
    """)


def complaints(browser: Chrome) -> list[str]:
    """The console's errors and warnings that are not the theme's own."""
    entries: list[dict[str, Any]] = browser.get_log("browser")
    loud = [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]
    return [message for message in loud if not any(re.search(known, message) for known in HARMLESS)]


def test_there_is_a_notebook_page(site: str) -> None:
    with urlopen(f"{site}/{FRONT}") as response:
        assert b"notebooks/" in response.read(), "the site has no notebook, so most tests here would check nothing"


def test_every_figure_is_drawn_without_the_network(page: Chrome) -> None:
    assert figures(page)
    assert {figure.get_attribute("data-state") for figure in figures(page)} == {"drawn"}
    assert all(figure.find_elements(By.CSS_SELECTOR, ".main-svg") for figure in figures(page))
    assert page.execute_script(OUTSIDE) == []
    assert complaints(page) == []


def test_maths_is_typeset(page: Chrome) -> None:
    formulas = page.find_elements(By.CSS_SELECTOR, "main .math")
    assert formulas
    assert all(formula.find_elements(By.TAG_NAME, "mjx-container") for formula in formulas)
    # MathJax marks a formula that it could not read; plotly drops a label that it could not typeset.
    assert not page.find_elements(By.CSS_SELECTOR, "mjx-merror, [data-mjx-error]")
    assert "$" not in page.execute_script(
        "return [...document.querySelectorAll('.js-plotly-plot text, .neurec-controls')]"
        ".filter((e) => e.checkVisibility({visibilityProperty: true})).map((e) => e.textContent).join('')"
    )


def test_every_figure_has_words(page: Chrome) -> None:
    for figure in figures(page):
        plot = figure.find_element(By.CSS_SELECTOR, "[role=img]")
        assert (figure.get_attribute("aria-label") or "").strip()
        assert (plot.get_attribute("aria-label") or "").strip()
        words = page.find_element(By.ID, plot.get_attribute("aria-describedby") or "")
        assert (words.get_attribute("textContent") or "").strip()


def test_plotlys_own_buttons_send_nothing_anywhere(page: Chrome) -> None:
    buttons = "return [...document.querySelectorAll('.modebar-btn')].map((button) => button.dataset.title || '')"
    names = set(page.execute_script(buttons))
    assert "Reset axes" in names
    assert not [name for name in names if re.search(r"cloud|share|edit in", name, re.IGNORECASE)]


def test_every_slider_says_its_name_and_value(page: Chrome) -> None:
    for slider in page.find_elements(By.CSS_SELECTOR, f"{FIGURE} input[type=range]"):
        assert slider.accessible_name.strip()
        assert (slider.get_attribute("aria-valuetext") or "").strip()


def test_figures_follow_the_dark_switch(page: Chrome) -> None:
    colours = f"""
        return [...document.querySelectorAll("{FIGURE} .js-plotly-plot")]
            .map((plot) => [plot._fullLayout.plot_bgcolor, plot._fullLayout.font.color]);
    """
    page.execute_script("document.documentElement.dataset.theme = 'light'")
    light = page.execute_script(colours)
    page.execute_script("document.documentElement.dataset.theme = 'dark'")
    changed = WebDriverWait(page, LONG)
    changed.until(lambda b: _all_differ(light, b.execute_script(colours)), "a figure kept its light colours")


def _all_differ(now: list[list[str]], before: list[list[str]]) -> bool:
    return all(a != c and b != d for (a, b), (c, d) in zip(now, before, strict=True))


def test_a_cube_is_moved_by_keyboard(page: Chrome, figure_page: str) -> None:
    assert figures(page, "cube") or figure_page == FRONT, "a notebook page shows its explorer as a cube"
    for figure in figures(page, "cube"):
        for control in figure.find_elements(By.CSS_SELECTOR, "input[type=range], input[type=radio]:checked"):
            before = drawing(page, figure)
            at_end = control.get_attribute("value") == control.get_attribute("max")
            control.send_keys(Keys.ARROW_LEFT if at_end else Keys.ARROW_RIGHT)
            wait_for_change(page, figure, before)
    assert page.execute_script(OUTSIDE) == []
    assert complaints(page) == []


def test_the_front_page_moves_and_can_be_stopped(site: str, browser: Chrome) -> None:
    visit(browser, f"{site}/{FRONT}")
    (figure,) = figures(browser)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", figure)
    wait_for_change(browser, figure, drawing(browser, figure))
    button = figure.find_element(By.TAG_NAME, "button")
    assert button.text == "Pause"
    button.send_keys(Keys.SPACE)
    assert button.text == "Play"
    slider = figure.find_element(By.CSS_SELECTOR, "input[type=range]")
    slider.send_keys(Keys.HOME)
    pass_frames(browser)
    first = drawing(browser, figure)
    slider.send_keys(Keys.END)
    wait_for_change(browser, figure, first)
    pass_frames(browser)
    last = drawing(browser, figure)
    pass_frames(browser)
    assert drawing(browser, figure) == last


def test_the_front_page_rests_for_readers_who_ask_for_less_motion(site: str, browser: Chrome) -> None:
    feature = {"name": "prefers-reduced-motion", "value": "reduce"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    try:
        visit(browser, f"{site}/{FRONT}")
        assert figures(browser)[0].find_element(By.TAG_NAME, "button").text == "Play"
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_phone_does_not_scroll_sideways(site: str, phone: Chrome, figure_page: str) -> None:
    visit(phone, f"{site}/{figure_page}")
    width = phone.execute_script("return document.documentElement.scrollWidth")
    assert width <= 390
    wide = phone.execute_script(
        f"return [...document.querySelectorAll('{FIGURE}, {FIGURE} .main-svg, {FIGURE} input')]"
        ".filter((e) => e.getBoundingClientRect().right > 391).map((e) => e.outerHTML.slice(0, 80))"
    )
    assert wide == []


def test_a_page_carries_its_figures_and_their_words(site: str, figure_page: str) -> None:
    with urlopen(f"{site}/{figure_page}") as response:
        text = response.read().decode()
    payloads = re.findall(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)
    assert payloads
    assert all(json.loads(payload) for payload in payloads)
    assert text.count("<noscript><p>") == len(payloads)
    assert not re.findall(r'<(?:script|img|iframe)[^>]+src="https?:', text)
    assert not re.findall(r'<link[^>]+rel="stylesheet"[^>]+href="https?:', text)
