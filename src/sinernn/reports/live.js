/* The live view of a run: its parts, its controls, and the loop that runs the network. */

{
  const { make, legend, plural, brief } = Sinernn.widgets;
  const REPEAT_MS = 10; // of a frame, to repeat a run
  const SPOKEN_MS = 4000; // between two summaries for screen readers
  const MOST_SPEED = 256; // steps a frame
  const WRITTEN_MS = 400; // between two changes of the address

  /** The live view of a run in an element. */
  class LiveView {
    constructor(element, data, simulation) {
      Object.assign(this, { data, simulation });
      this.root = make("section", { className: "live", "aria-label": "The network, live" });
      element.replaceChildren(this.root);
      this.scene = new Sinernn.Scene(simulation, this.root);
      this.usual = { ...simulation.settings, channel: 0, input: 0, show: 200, speed: 1 };
      this.speed = 1; // steps a frame
      this.owed = 0; // steps, of a speed below 1
      this.isRunning = !matchMedia("(prefers-reduced-motion: reduce)").matches;
      this.build();
      this.listen();
      this.readAddress();
      this.layout();
    }

    destroy() {
      this.ending.abort();
      this.observer.disconnect();
      cancelAnimationFrame(this.frame);
      clearTimeout(this.writing);
      for (const { plot } of Object.values(this.charts)) plot.destroy();
      this.root.remove();
    }

    // Parts

    build() {
      const { data, scene, root, simulation } = this;
      const labels = data.channels.map(({ name, unit }) => (unit ? `${name} (${unit})` : name));
      const isDriven = simulation.channels > simulation.outputs;
      this.controls = new Sinernn.Controls(this, labels);
      this.pictures = {};
      const figure = (name, tag, caption) => {
        this.pictures[name] = make(tag, { role: "img", "aria-label": name });
        const figcaption = make("figcaption", {}, caption);
        return make("figure", { className: `live-${name}` }, figcaption, this.pictures[name]);
      };
      const signal = { truth: "truth", read: "read: drag one", fed: "predicted", free: "free run" };
      const unit = simulation.outputs > 1 ? ", in standard deviations" : "";
      const errors = { step: `error of a step${unit}`, rms: "RMSE of the free run" };
      const wide = [
        figure("signal", "div", legend(signal)),
        ...(isDriven ? [figure("input", "div", legend({ input: "input: draw on it" }))] : []),
        figure("strip", "canvas", legend({ low: "hidden units below 0", high: "above" })),
        figure("errors", "div", legend(errors)),
      ];
      const orbit = { truth: "hidden state, fed", free: "as it runs" };
      const side = [figure("orbit", "canvas", legend(orbit)), this.buildReadouts()];
      this.status = make("p", { role: "status", className: "live-status" });
      root.append(
        this.controls.bar,
        this.controls.training,
        make(
          "div",
          { className: "live-main" },
          make("div", { className: "live-wide" }, ...wide),
          make("div", { className: "live-side" }, ...side),
        ),
        this.status,
        this.controls.settings,
        this.controls.editor,
      );
      const acting = () => this.changed();
      this.charts = { signal: new Sinernn.SignalChart(scene, this.pictures.signal) };
      this.charts.errors = new Sinernn.ErrorChart(scene, this.pictures.errors);
      Sinernn.dragSamples(this.charts.signal, acting);
      if (isDriven) {
        this.charts.input = new Sinernn.InputChart(scene, this.pictures.input);
        Sinernn.drawInput(this.charts.input, acting);
      }
      this.strip = new Sinernn.Strip(scene, this.pictures.strip);
      this.orbit = new Sinernn.Orbit(scene, this.pictures.orbit);
    }

    buildReadouts() {
      const names = ["step", "time", "error", "RMSE", "valid until"];
      this.readouts = Object.fromEntries(names.map((name) => [name, make("dd")]));
      const rows = names.map((name) => make("div", {}, make("dt", {}, name), this.readouts[name]));
      return make("dl", { className: "live-readouts" }, ...rows);
    }

    // Changes

    listen() {
      this.ending = new AbortController();
      const { signal } = this.ending;
      const repaint = () => {
        this.scene.readColours();
        this.layout();
        this.draw(); // paper has no frames
      };
      for (const query of ["(prefers-color-scheme: dark)", "print"]) {
        matchMedia(query).addEventListener("change", repaint, { signal });
      }
      addEventListener("hashchange", () => this.readAddress(), { signal });
      this.observer = new ResizeObserver(() => this.layout());
      this.observer.observe(this.root);
    }

    /** Run or pause; a run that is over begins again. */
    toggle() {
      const { simulation } = this;
      if (simulation.isOver) simulation.restart();
      this.isRunning = !this.isRunning;
    }

    /** Change a setting: of a run that goes on from its next step, of one that does not as a whole. */
    change(kind, value) {
      const { simulation } = this;
      const isUnderWay = this.isRunning && simulation.next > simulation.first && !simulation.isOver;
      if (isUnderWay) simulation.happen(kind, value);
      else simulation.set(kind, value);
    }

    /** Fit the axes to other samples. */
    fit() {
      this.charts.signal.fit();
      this.charts.input?.fit();
    }

    changed() {
      this.controls.show();
      this.isSpoken = false; // what a user has done is said at once
      this.writing ??= setTimeout(() => this.writeAddress(), WRITTEN_MS);
      this.request();
    }

    writeAddress() {
      this.writing = null;
      const text = Sinernn.address.written(this.simulation, this.scene, this.usual, this.speed);
      history.replaceState(null, "", `#${text}`);
    }

    readAddress() {
      const speed = Sinernn.address.read(
        location.hash.slice(1),
        this.simulation,
        this.scene,
        this.usual,
      );
      if (speed > 0) this.speed = Math.min(speed, MOST_SPEED);
      this.fit();
      this.controls.show();
      this.request();
    }

    // The loop

    /** Ask for a frame, unless one has been asked for. */
    request() {
      this.frame ??= requestAnimationFrame((time) => this.tick(time));
    }

    tick(time) {
      this.frame = null;
      const { simulation } = this;
      const isThere = simulation.catchUp(() => performance.now() - time > REPEAT_MS);
      if (isThere && this.isRunning) {
        for (this.owed += this.speed; this.owed >= 1; this.owed--) simulation.step();
        this.isRunning = !simulation.isOver;
        if (!this.isRunning) this.isSpoken = false;
      }
      this.draw();
      if (isThere) this.speak(time); // of a run that is being repeated, what it comes to
      if (this.isRunning || !isThere) this.request();
    }

    draw() {
      for (const each of [...Object.values(this.charts), this.strip, this.orbit]) each.draw();
      const { simulation, data } = this;
      const { next, context, known, errors, rmses, failedAt } = simulation;
      const step = this.scene.stepOf(next);
      const rows = {
        step: `${step} of ${simulation.length - context}`,
        time: `${brief(step * data.time_step, 4)} ${data.time_unit}`,
        error: brief(errors[next], 2),
        RMSE: brief(rmses[Math.min(next, known - 1)], 3),
        "valid until": failedAt === null ? "–" : `step ${this.scene.stepOf(failedAt)}`,
      };
      for (const [name, text] of Object.entries(rows)) this.readouts[name].textContent = text;
      this.controls.nameButtons();
    }

    /** Say where the run is, to screen readers: not too often. */
    speak(time) {
      if (this.isSpoken && (!this.isRunning || time - this.spokenAt < SPOKEN_MS)) return;
      this.isSpoken = true;
      this.spokenAt = time;
      const text = this.summary();
      this.status.textContent = text;
      const names = {
        signal: "Truth and predictions.",
        errors: "Error on a logarithmic axis.",
        strip: "Values of the hidden units.",
        orbit: "Orbit of the hidden state.",
        input: "Input, as the network reads it.",
      };
      for (const [name, picture] of Object.entries(this.pictures)) {
        picture.setAttribute("aria-label", `${names[name]} ${text}`);
      }
    }

    summary() {
      const { simulation, scene } = this;
      const { next, divergedAt, rmses, known, context, letGo } = simulation;
      const step = scene.stepOf(next);
      if (divergedAt !== null)
        return `The free run has diverged: step ${step} is not a finite number.`;
      const rmse = rmses[Math.min(next, known - 1)];
      const error = Number.isFinite(rmse) ? ` The RMSE of the free run is ${brief(rmse, 3)}.` : "";
      if (simulation.isOver) return `The run has ended at step ${step}.${error}`;
      const doing = this.isRunning ? "Running" : "Paused";
      if (!simulation.isFed) return `${doing} at step ${step}, on its own predictions.${error}`;
      const isWarmup = letGo === context;
      const left = isWarmup ? `, ${plural(context - next, "sample")} before it is let go` : "";
      return `${doing}: the network reads samples of the series${left}.`;
    }

    // Sizes

    /** Fit the pictures to the widths that the style sheet gives them. */
    layout() {
      const isSmall = this.root.clientWidth < 640;
      const width = (name) => Math.floor(this.pictures[name].parentElement.clientWidth);
      const heights = { signal: isSmall ? 170 : 220, errors: isSmall ? 130 : 150, input: 100 };
      if (this.charts.input) heights.signal = 170;
      for (const [name, { plot }] of Object.entries(this.charts)) {
        plot.setSize({ width: width(name), height: heights[name] });
      }
      const rows = this.simulation.shownUnits.length;
      this.strip.width = width("strip");
      this.strip.height = Math.min(Math.max(5 * rows, 40), isSmall ? 80 : 100);
      this.orbit.width = width("orbit");
      this.orbit.height = Math.min(this.orbit.width, 270);
      this.request();
    }
  }

  /** Show the live view of a run in an element; return an object that can `destroy()` it. */
  Sinernn.mountLive = (element, data) => {
    let simulation;
    try {
      simulation = new Sinernn.Simulation(data);
    } catch (error) {
      const message = make("p", { className: "live-error" }, `No live view: ${error.message}.`);
      element.replaceChildren(message);
      return { destroy: () => message.remove() };
    }
    return new LiveView(element, data, simulation);
  };
}
