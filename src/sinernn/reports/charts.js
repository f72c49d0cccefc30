/* The charts of the live view over the steps of a run: signal, error, input. */

{
  const LEFT = 60; // pixels for the labels of a vertical axis
  const RIGHT = 12;
  const AHEAD = 0.2; // share of the window that is yet to come

  const finite = (value) => (Number.isFinite(value) ? value : null);

  /** What all pictures of a live view share: the run, what is shown of it, and the colours. */
  class Scene {
    constructor(simulation, root) {
      Object.assign(this, { simulation, root, channel: 0, input: 0, show: 200 });
      this.readColours();
    }

    /** Take the colours of the style sheet, which knows whether the page is light or dark. */
    readColours() {
      const style = getComputedStyle(this.root);
      const names = ["ink", "faint", "grid", "model", "accent", "input", "low", "middle", "high"];
      this.colours = Object.fromEntries(
        names.map((name) => [name, style.getPropertyValue(`--live-${name}`).trim()]),
      );
    }

    /** Return the step of a sample: 1 is the first of the forecast. */
    stepOf(index) {
      return index - this.simulation.context + 1;
    }

    /** Return the first and last sample that the window shows. */
    get window() {
      const { first, next, goal, length } = this.simulation;
      if (this.show === 0) return [first, length - 1]; // all
      const begin = Math.max(first, Math.round(Math.max(next, goal) - (1 - AHEAD) * this.show));
      return [begin, begin + this.show];
    }
  }

  /** Return a whole number as superscripts. */
  const raised = (power) =>
    String(power).replace(/./g, (each) => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(each)]);

  /** Return powers of ten between two values: at most six. */
  const decades = (_, axis, low, high) => {
    const [first, last] = [low, high].map((value) => Math.round(Math.log10(value)));
    const stride = Math.ceil((last - first) / 5) || 1;
    return Array.from(
      { length: Math.floor((last - first) / stride) + 1 },
      (_, k) => 10 ** (last - k * stride),
    ).reverse();
  };

  /** Return a chart in an element: uPlot, with the axes and colours of the page. */
  const chart = (scene, element, { series, x, y, isLog, xLabel, draw = () => {} }) => {
    const axis = (more) => ({
      stroke: () => scene.colours.ink,
      grid: { stroke: () => scene.colours.grid, width: 1 },
      ticks: { show: false },
      font: "12px system-ui, sans-serif",
      labelFont: "12px system-ui, sans-serif",
      ...more,
    });
    const powers = (_, splits) =>
      splits.map((value) => `10${raised(Math.round(Math.log10(value)))}`);
    const plainTicks = (_, splits) =>
      splits.map((v) => String(+v.toPrecision(6)).replace("-", "−"));
    return new uPlot(
      {
        width: 300,
        height: 150,
        padding: [8, RIGHT, 0, 0],
        cursor: { show: false },
        legend: { show: false },
        scales: { x: { time: false, range: x }, y: { range: y, distr: isLog ? 3 : 1 } },
        axes: [
          axis({
            size: 26,
            values: plainTicks,
            space: 60,
            label: xLabel,
            labelSize: 16,
            labelGap: 0,
          }),
          axis({
            size: LEFT,
            ...(isLog
              ? { splits: decades, filter: (_, splits) => splits, values: powers }
              : { values: plainTicks }),
          }),
        ],
        series: [{}, ...series],
        hooks: { draw: [draw] },
      },
      [[], ...series.map(() => [])],
      element,
    );
  };

  /** Draw a vertical line on a chart, at a step. */
  const markStep = (plot, step, colour, dash) => {
    const { ctx, bbox } = plot;
    const at = Math.round(plot.valToPos(step, "x", true));
    if (!(at >= bbox.left && at <= bbox.left + bbox.width)) return;
    ctx.save();
    ctx.strokeStyle = colour;
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash(dash.map((length) => length * devicePixelRatio));
    ctx.beginPath();
    ctx.moveTo(at, bbox.top);
    ctx.lineTo(at, bbox.top + bbox.height);
    ctx.stroke();
    ctx.restore();
  };

  /** Return the range of some values, a little wider. */
  const padded = (values, share) => {
    let [low, high] = [Infinity, -Infinity];
    for (const value of values) {
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if (low > high) return [-1, 1];
    const pad = share * (high - low || Math.abs(high) || 1);
    return [low - pad, high + pad];
  };

  /** The truth, the samples that are read, and what the network predicts of an output. */
  class SignalChart {
    constructor(scene, element) {
      this.scene = scene;
      const line = (colour, width, more) => ({
        stroke: () => scene.colours[colour],
        width,
        points: { show: false },
        ...more,
      });
      this.plot = chart(scene, element, {
        x: () => scene.window.map((index) => scene.stepOf(index)),
        y: () => this.range,
        series: [
          line("faint", 5),
          line("ink", 0, {
            points: { show: true, size: 6, width: 0, fill: () => scene.colours.ink },
          }),
          line("model", 1, { dash: [3, 3] }),
          line("model", 2),
        ],
        draw: (plot) => this.drawMarks(plot),
      });
      this.fit();
    }

    /** Fit the vertical axis to the samples around the origin. */
    fit() {
      const { simulation, channel } = this.scene;
      const values = [];
      for (let index = 0; index < Math.min(simulation.known, simulation.length); index++) {
        values.push(simulation.true(index, channel), simulation.read(index, channel));
      }
      this.range = padded(values, 0.15);
    }

    /** Return the samples that a user may drag: those that are read, not predicted. */
    get draggable() {
      const { simulation, window } = this.scene;
      const last = Math.min(simulation.letGo, simulation.known, window[1] + 1);
      return [Math.max(simulation.first, window[0]), last];
    }

    draw() {
      const { simulation, channel, window } = this.scene;
      const { outputs, next } = simulation;
      const data = [[], [], [], [], []];
      const [begin, end] = this.draggable;
      for (let index = window[0]; index <= window[1]; index++) {
        const value =
          index <= next ? finite(simulation.predicted[index * outputs + channel]) : null;
        const isFree = simulation.isFree[index];
        data[0].push(this.scene.stepOf(index));
        data[1].push(finite(simulation.true(index, channel)));
        data[2].push(index >= begin && index < end ? simulation.read(index, channel) : null);
        data[3].push(isFree ? null : value);
        data[4].push(isFree ? value : null);
      }
      this.plot.setData(data);
    }

    drawMarks(plot) {
      const { scene } = this;
      const { simulation, channel, colours } = scene;
      if (simulation.letGo <= simulation.known) {
        markStep(plot, scene.stepOf(simulation.letGo) - 0.5, colours.ink, [2, 3]);
      }
      const value = simulation.predicted[simulation.next * simulation.outputs + channel];
      if (!Number.isFinite(value)) return;
      const { ctx } = plot;
      const x = plot.valToPos(scene.stepOf(simulation.next), "x", true);
      const y = plot.valToPos(Math.min(Math.max(value, this.range[0]), this.range[1]), "y", true);
      ctx.fillStyle = colours.model;
      ctx.beginPath();
      ctx.arc(x, y, 5 * devicePixelRatio, 0, 2 * Math.PI);
      ctx.fill();
    }
  }

  /** The error of every prediction and that of the free run so far, on a log axis. */
  class ErrorChart {
    constructor(scene, element) {
      this.scene = scene;
      this.range = [1e-3, 1];
      this.plot = chart(scene, element, {
        x: () => this.span.map((index) => scene.stepOf(index)),
        y: () => this.range,
        isLog: true,
        xLabel: "steps after the warm-up",
        series: [
          { stroke: () => scene.colours.faint, width: 1, points: { show: false } },
          { stroke: () => scene.colours.accent, width: 2, points: { show: false } },
        ],
        draw: (plot) => this.drawLimit(plot),
      });
    }

    /** The run from its beginning: at least a window of it. */
    get span() {
      const { simulation, window } = this.scene;
      return [simulation.first, Math.max(window[1], simulation.first + 1)];
    }

    draw() {
      const { simulation } = this.scene;
      const { errors, rmses, first, next } = simulation;
      const data = [[], [], []];
      let [low, high] = [Infinity, 0];
      for (let index = first; index <= next; index++) {
        const error = errors[index] > 0 ? finite(errors[index]) : null; // a log axis has no 0
        data[0].push(this.scene.stepOf(index));
        data[1].push(error);
        data[2].push(rmses[index] > 0 ? finite(rmses[index]) : null);
        if (error !== null) [low, high] = [Math.min(low, error), Math.max(high, error)];
      }
      const most = 1000 * simulation.data.valid_limit || 1; // a diverging run has no top
      const least = Math.max(low, 1e-16 * most, high * 1e-12);
      const decade = (value, round) => 10 ** round(Math.log10(value));
      const top = decade(
        Math.min(Math.max(high, simulation.data.valid_limit), most) * 1.001,
        Math.ceil,
      );
      this.range = high ? [Math.min(decade(least, Math.floor), top / 100), top] : [1e-3, 1];
      this.plot.setData(data);
    }

    drawLimit(plot) {
      const { ctx, bbox } = plot;
      const y = plot.valToPos(this.scene.simulation.data.valid_limit, "y", true);
      if (!(y >= bbox.top && y <= bbox.top + bbox.height)) return;
      ctx.save();
      ctx.strokeStyle = ctx.fillStyle = this.scene.colours.ink;
      ctx.lineWidth = devicePixelRatio;
      ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
      ctx.textAlign = "right";
      ctx.fillText("valid below", bbox.left + bbox.width - 4, y + 13 * devicePixelRatio);
      ctx.restore();
    }
  }

  /** An input of a driven series, as it is read and as it was. */
  class InputChart {
    constructor(scene, element) {
      this.scene = scene;
      this.plot = chart(scene, element, {
        x: () => scene.window.map((index) => scene.stepOf(index)),
        y: () => this.range,
        series: [
          { stroke: () => scene.colours.faint, width: 1, dash: [3, 3], points: { show: false } },
          { stroke: () => scene.colours.input, width: 2, points: { show: false } },
        ],
        draw: (plot) =>
          markStep(plot, scene.stepOf(scene.simulation.next), scene.colours.ink, [1, 2]),
      });
      this.fit();
    }

    get channel() {
      return this.scene.simulation.outputs + this.scene.input;
    }

    fit() {
      const { simulation } = this.scene;
      const indices = Array.from({ length: simulation.known }, (_, index) => index);
      this.range = padded(
        indices.map((index) => simulation.observedAt(index, this.channel)),
        0.25,
      );
    }

    draw() {
      const { simulation, window } = this.scene;
      const data = [[], [], []];
      for (let index = window[0]; index <= Math.min(window[1], simulation.known - 1); index++) {
        data[0].push(this.scene.stepOf(index));
        data[1].push(simulation.observedAt(index, this.channel));
        data[2].push(simulation.read(index, this.channel));
      }
      this.plot.setData(data);
    }
  }

  Object.assign(Sinernn, { Scene, SignalChart, ErrorChart, InputChart, LEFT, RIGHT });
}
