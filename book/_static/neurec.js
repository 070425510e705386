/* Draws the figures and cubes of the book. Everything it needs is in the page or in _static: it never
 * asks the network for anything.
 *
 * A figure is {data, layout, frames?}. A cube is {figure, axes, frames}: one frame for each point of the
 * grid that the axes span, last axis fastest, and each frame says only what differs from the figure. */
"use strict";

(() => {
  const NARROW = 560; // px; below this a figure gets layout.meta.narrow and its legend below it
  const HEIGHT = 450; // px, as plotly's own, unless the figure has one
  const FRAME_MS = 100; // time of one frame, unless layout.meta.frame_ms says otherwise
  const CONFIG = {
    responsive: true,
    // Without a mouse plotly would show its buttons all the time, over the title.
    displayModeBar: window.matchMedia("(hover: hover)").matches ? "hover" : false,
    displaylogo: false,
    showSendToCloud: false, // plotly.js shows a button that uploads the figure, unless told not to
    showTips: false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  };
  const stillness = window.matchMedia("(prefers-reduced-motion: reduce)");

  // ---------------------------------------------------------------- small tools

  const isObject = (value) =>
    value !== null && typeof value === "object" && !Array.isArray(value) && !ArrayBuffer.isView(value);
  const isBranch = (value) => isObject(value) && !("bdata" in value); // a typed array is a leaf

  /** A copy of `base` with `change` laid over it; neither is altered, arrays are shared. */
  function merged(base, change) {
    const result = {};
    for (const [key, value] of Object.entries(base ?? {})) result[key] = isBranch(value) ? merged(value) : value;
    for (const [key, value] of Object.entries(change ?? {})) {
      result[key] = isBranch(value) ? merged(isBranch(result[key]) ? result[key] : {}, value) : value;
    }
    return result;
  }

  /** An element with properties and children, in one expression. */
  function make(tag, properties = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  /** A label without its dollars and TeX backslashes, for those who hear it. */
  const spoken = (text) => text.replace(/\\([A-Za-z]+)/g, "$1 ").replace(/[${}\\]/g, "").replace(/\s+/g, " ").trim();

  /** A label, its $...$ marked for `typeset`; as plain words where there is no MathJax. */
  function label(text) {
    if (!window.MathJax?.typesetPromise) return make("span", { textContent: spoken(text) });
    const pieces = text.split("$").map((piece, i) => {
      if (i % 2 === 0) return piece;
      return make("span", { className: "math", textContent: `\\(${piece}\\)` });
    });
    return make("span", {}, ...pieces);
  }

  /** Typesets the labels within an element, which must be in the page: MathJax measures it. */
  const typeset = (element) => window.MathJax?.typesetPromise?.([element]);

  /** A title with line breaks between words; lines with maths or tags are left alone. */
  function wrapped(text, width) {
    const fold = (line) => {
      if (/[$<]/.test(line)) return line;
      const rows = [""];
      for (const word of line.split(" ")) {
        const row = `${rows.at(-1)} ${word}`.trim();
        if (row.length <= width || !rows.at(-1)) rows[rows.length - 1] = row;
        else rows.push(word);
      }
      return rows.join("<br>");
    };
    return text.split("<br>").map(fold).join("<br>");
  }

  /** Runs `task` when the browser has nothing better to do. */
  const whenIdle = (task) => (window.requestIdleCallback ?? ((run) => setTimeout(run, 150)))(task);

  // ---------------------------------------------------------------- dark and light

  /** A plotly template with the page's present colours; what a figure sets itself still wins. */
  function template(element, own, narrow) {
    const style = getComputedStyle(element);
    const colour = (name) => style.getPropertyValue(`--neurec-${name}`).trim();
    const axis = { gridcolor: colour("grid"), linecolor: colour("line"), zerolinecolor: colour("line"), tickcolor: colour("line") };
    const solid = { ...axis, backgroundcolor: colour("surface") };
    const skin = {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: colour("surface"),
      font: { color: colour("ink"), family: style.fontFamily, size: narrow ? 12 : 13 },
      margin: { l: 64, r: 24, t: 56, b: 56 },
      xaxis: axis,
      yaxis: axis,
      polar: { bgcolor: colour("surface"), angularaxis: axis, radialaxis: axis },
      scene: { xaxis: solid, yaxis: solid, zaxis: solid },
      hoverlabel: { bgcolor: colour("float"), bordercolor: colour("line"), font: { color: colour("ink") } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("muted"), activecolor: colour("ink") },
      legend: { bgcolor: "rgba(0,0,0,0)", ...(narrow && { orientation: "h", x: 0, y: -0.22, yanchor: "top" }) },
    };
    return { data: own?.data ?? {}, layout: merged(own?.layout, skin) };
  }

  // ---------------------------------------------------------------- one figure

  class Figure {
    constructor(element) {
      this.element = element;
      this.plot = element.querySelector(".neurec-plot");
      this.controls = element.querySelector(".neurec-controls");
      this.change = {};
    }

    get started() {
      return this.element.dataset.state !== "waiting";
    }

    get narrow() {
      return this.element.clientWidth < NARROW;
    }

    /** Reads the figure and draws it for the first time. */
    async start() {
      if (this.started) return;
      this.element.dataset.state = "drawing";
      try {
        const content = JSON.parse(this.element.querySelector("script").textContent);
        this.base = content.figure ?? content;
        this.meta = isObject(this.base.layout?.meta) ? this.base.layout.meta : {};
        await this.draw();
        this.nameThePicture();
        if (content.axes) await addSliders(this, content);
        else if (this.base.frames?.length) addPlayer(this);
        this.watchWidth();
        this.element.dataset.state = "drawn";
      } catch (error) {
        this.element.dataset.state = "failed";
        this.controls.replaceChildren(make("p", { textContent: `This figure could not be drawn: ${error.message}` }));
        console.error(error);
      }
    }

    /** The figure as it is to look now: base, frame, width and colours together. */
    composed() {
      const data = this.base.data.map((trace, i) => merged(trace, this.change.data?.[i]));
      const layout = merged(this.base.layout, this.change.layout);
      const narrow = this.narrow;
      const fitted = merged(layout, narrow ? this.meta.narrow : {});
      delete fitted.width;
      delete fitted.updatemenus; // our own controls take the place of plotly's: they can be used by keyboard
      delete fitted.sliders;
      if (typeof fitted.title === "string") fitted.title = { text: fitted.title };
      fitted.height ??= HEIGHT;
      fitted.autosize = true; // in width
      fitted.uirevision ??= "kept"; // a reader's zoom outlives a moved slider
      fitted.template = template(this.element, layout.template, narrow);
      if (narrow) this.fitNarrow(fitted);
      return { data, layout: fitted };
    }

    /** Smaller letters, thinner margins and a title in several lines. */
    fitNarrow(layout) {
      const margin = layout.margin ?? {};
      const lines = wrapped(layout.title?.text ?? "", Math.floor((this.element.clientWidth - 90) / 8));
      const added = lines.split("<br>").length - (layout.title?.text ?? "").split("<br>").length;
      layout.font = { ...layout.font, size: 12 };
      layout.margin = { ...margin, l: 44, r: 12, t: (margin.t ?? 56) + 18 * added };
      if (lines) layout.title = { ...layout.title, text: lines, font: { size: 15, ...layout.title.font } };
    }

    draw() {
      const { data, layout } = this.composed();
      return window.Plotly.react(this.plot, data, layout, CONFIG);
    }

    /** Moves role and words from the plot to the picture in it: plotly's buttons beside it are no picture. */
    nameThePicture() {
      const picture = this.plot.querySelector(".main-svg");
      for (const name of ["role", "aria-label", "aria-describedby"]) {
        picture.setAttribute(name, this.plot.getAttribute(name));
        this.plot.removeAttribute(name);
      }
    }

    /** Shows a frame. Of several asked for while one is being drawn, only the newest is drawn. */
    async show(change) {
      this.change = change;
      await this.refresh();
    }

    async refresh() {
      this.stale = true;
      if (this.busy) return;
      this.busy = true;
      try {
        while (this.stale) {
          this.stale = false;
          await this.draw();
        }
      } finally {
        this.busy = false;
      }
    }

    /** Draws anew when the figure becomes narrow or wide; plotly follows smaller changes itself. */
    watchWidth() {
      let narrow = this.narrow;
      new ResizeObserver(() => {
        if (this.narrow === narrow) return;
        narrow = this.narrow;
        this.refresh();
      }).observe(this.element);
    }
  }

  // ---------------------------------------------------------------- cubes

  function addSliders(figure, cube) {
    const point = cube.axes.map((axis) => axis.start);
    const show = () => {
      const cell = point.reduce((sum, index, k) => sum * cube.axes[k].values.length + index, 0);
      return figure.show(cube.frames[cell]);
    };
    cube.axes.forEach((axis, k) => {
      const move = (index) => {
        point[k] = index;
        show();
      };
      const words = axis.values.some((value) => typeof value !== "number") && axis.values.length <= 4;
      figure.controls.append((words ? choice : slider)(axis, `${figure.element.id}-${k}`, move));
    });
    return Promise.all([typeset(figure.controls), show()]);
  }

  /** A range input with its label and present value. */
  function slider(axis, id, move) {
    const name = axis.label ?? axis.name;
    const input = make("input", { type: "range", id, min: 0, max: axis.values.length - 1, step: 1, value: axis.start });
    const output = make("output", { htmlFor: id });
    const say = () => {
      output.textContent = String(axis.values[input.valueAsNumber]);
      input.setAttribute("aria-valuetext", `${spoken(name)}: ${output.textContent}`);
    };
    input.addEventListener("input", () => {
      say();
      move(input.valueAsNumber);
    });
    say();
    return make("div", { className: "neurec-slider" }, make("label", { htmlFor: id }, label(name)), input, output);
  }

  /** A few words side by side, one of them chosen. */
  function choice(axis, id, move) {
    const options = axis.values.map((value, index) => {
      const input = make("input", { type: "radio", name: id, value: index, checked: index === axis.start });
      input.addEventListener("change", () => move(index));
      return make("label", {}, input, make("span", { textContent: String(value).replaceAll("_", " ") }));
    });
    const legend = make("legend", {}, label(axis.label ?? axis.name));
    return make("fieldset", { className: "neurec-choice" }, legend, make("div", {}, ...options));
  }

  // ---------------------------------------------------------------- frames

  /** What a plotly frame changes, by trace. */
  function frameChange(frame) {
    const data = [];
    (frame.data ?? []).forEach((trace, i) => (data[frame.traces?.[i] ?? i] = trace));
    return { data, layout: frame.layout };
  }

  function addPlayer(figure) {
    const { frames } = figure.base;
    const axis = {
      name: figure.meta.frame_label ?? "frame",
      values: frames.map((frame, i) => frame.name ?? i + 1),
      start: 0,
    };
    const button = make("button", { type: "button", className: "neurec-play" });
    const row = slider(axis, `${figure.element.id}-frame`, (index) => {
      player.pause();
      player.index = index;
      figure.show(frameChange(frames[index]));
    });
    const player = new Player(frames.length, figure.meta.frame_ms ?? FRAME_MS, {
      show: (index) => followSlider(row, axis, index, figure.show(frameChange(frames[index]))),
      changed: (playing) => {
        button.textContent = playing ? "Pause" : "Play";
        button.classList.toggle("is-playing", playing);
      },
    });
    button.addEventListener("click", () => (player.playing ? player.pause() : player.play()));
    row.prepend(button);
    row.classList.add("has-button");
    figure.controls.append(row);
    player.watch(figure.element);
    player.changed(false);
    if (figure.meta.autoplay === true && !stillness.matches) player.play();
  }

  function followSlider(row, axis, index, drawn) {
    const input = row.querySelector("input");
    input.value = index;
    row.querySelector("output").textContent = String(axis.values[index]);
    input.setAttribute("aria-valuetext", `${spoken(axis.name)}: ${axis.values[index]}`);
    return drawn;
  }

  /** Steps through frames at a steady pace, round and round, and rests while nobody can see it. */
  class Player {
    constructor(length, interval, { show, changed }) {
      Object.assign(this, { length, interval, show, changed, index: 0, playing: false, seen: false, last: 0 });
      this.tick = this.tick.bind(this);
    }

    play() {
      this.playing = true;
      this.changed(true);
      requestAnimationFrame(this.tick);
    }

    pause() {
      this.playing = false;
      this.changed(false);
    }

    watch(element) {
      new IntersectionObserver(([entry]) => {
        this.seen = entry.isIntersecting;
        if (this.seen && this.playing) requestAnimationFrame(this.tick);
      }).observe(element);
    }

    async tick(now) {
      if (!this.playing || !this.seen || this.drawing) return;
      if (now - this.last >= this.interval) {
        this.last = now;
        this.index = (this.index + 1) % this.length;
        this.drawing = true;
        await this.show(this.index);
        this.drawing = false;
      }
      requestAnimationFrame(this.tick);
    }
  }

  // ---------------------------------------------------------------- the page

  /** Figures near the reader first, the rest one by one when the browser is idle, all before printing. */
  async function startPage() {
    const figures = [...document.querySelectorAll("figure.neurec-figure")].map((element) => new Figure(element));
    if (!figures.length) return;
    await window.MathJax?.startup?.promise; // labels drawn before MathJax is ready would stay blank
    const near = new IntersectionObserver(
      (entries) => {
        for (const entry of entries) {
          if (entry.isIntersecting) figures.find((figure) => figure.element === entry.target).start();
        }
      },
      { rootMargin: "300px" },
    );
    figures.forEach((figure) => near.observe(figure.element));
    const next = async () => {
      const figure = figures.find((candidate) => !candidate.started);
      if (!figure) return;
      await figure.start();
      whenIdle(next);
    };
    whenIdle(next);
    window.addEventListener("beforeprint", () => figures.forEach((figure) => figure.start()));
    new MutationObserver(() => figures.filter((figure) => figure.started).forEach((figure) => figure.refresh())).observe(
      document.documentElement,
      { attributes: true, attributeFilter: ["data-theme"] },
    );
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", startPage);
  else startPage();
})();
