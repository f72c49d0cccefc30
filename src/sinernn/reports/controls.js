/* The controls of a live view: each changes the run or what is shown of it, and shows what is set. */

{
  const { make, button, slider, choice, numberField, plural, brief } = Sinernn.widgets;
  const SPEEDS = [1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16, 32, 64, 128, 256];
  const NOISES = [0, 1e-6, 1e-5, 1e-4, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1];
  const KICKS = [1e-4, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1];
  const WINDOWS = [50, 100, 200, 500, 1000, 0]; // steps; 0: all

  /** Return the place of a value in a list, or of the nearest one. */
  const placeIn = (list, value) => {
    const distances = list.map((each) => Math.abs(each - value));
    return distances.indexOf(Math.min(...distances));
  };

  /** The controls of a view, which has a `simulation`, a `scene` and a `speed`. */
  class Controls {
    constructor(view, labels) {
      Object.assign(this, { view, simulation: view.simulation, scene: view.scene });
      this.kick = 0.1; // standard deviation of the change of a unit
      this.bar = this.buildBar();
      this.training = this.buildTraining();
      this.settings = this.buildSettings(labels);
      this.editor = this.buildEditor(labels);
    }

    /** Return a function that does something, and shows what has changed. */
    acting(act) {
      return (value) => {
        act(value);
        this.view.changed();
      };
    }

    /** Return the buttons and the speed. */
    buildBar() {
      const { simulation, view } = this;
      const speedText = (at) =>
        SPEEDS[at] < 1
          ? `1 step in ${1 / SPEEDS[at]} frames`
          : `${plural(SPEEDS[at], "step")} a frame`;
      this.runButton = button(
        "Pause",
        "Run or pause",
        this.acting(() => view.toggle()),
      );
      this.feedButton = button(
        "Let go",
        "From now on, read its own predictions, or samples again",
        this.acting(() => simulation.happen("feed", simulation.isFed ? 0 : 1)),
      );
      this.speedSlider = slider(
        "Speed",
        SPEEDS.length - 1,
        speedText,
        this.acting((at) => {
          view.speed = SPEEDS[at];
        }),
      );
      const step = () => {
        view.isRunning = false;
        simulation.step();
      };
      const kick = () => simulation.happen("kick", this.kick);
      return make(
        "div",
        { className: "live-bar", role: "group", "aria-label": "Run" },
        this.runButton,
        button("Step", "Take one step", this.acting(step)),
        button(
          "Restart",
          "Begin again with the warm-up",
          this.acting(() => simulation.restart()),
        ),
        this.feedButton,
        button("Kick", "Change every hidden unit at random", this.acting(kick)),
        this.speedSlider.element,
      );
    }

    /** Return the slider over the snapshots of the training; empty if there is one alone. */
    buildTraining() {
      const { labels } = this.view.data.weights;
      const act = this.acting((at) => this.view.change("snapshot", at));
      this.snapshot = slider("Training", labels.length - 1, (at) => labels[at], act);
      this.snapshot.element.classList.add("live-training");
      return labels.length > 1 ? this.snapshot.element : "";
    }

    /** Return the other settings; choices with more than one entry. */
    buildSettings(labels) {
      const { scene, simulation, view } = this;
      const { data } = view;
      const setScene = (name) =>
        this.acting((value) => {
          scene[name] = value;
          view.fit();
        });
      this.warmup = slider(
        "Warm-up",
        simulation.context,
        (at) => plural(at, "sample"),
        this.acting((at) => simulation.set("warmup", at)),
      );
      this.warmup.input.min = 1;
      this.noise = slider(
        "Noise on what it reads",
        NOISES.length - 1,
        (at) => (NOISES[at] ? `${NOISES[at]} std` : "none"),
        this.acting((at) => view.change("noise", NOISES[at])),
      );
      this.kickSize = slider(
        "Size of a kick",
        KICKS.length - 1,
        (at) => String(KICKS[at]),
        (at) => {
          this.kick = KICKS[at];
        },
      );
      const origins = data.origins.map(({ segment, time }, k) => {
        const where = data.segments > 1 ? `segment ${segment + 1}, ` : "";
        const when = typeof time === "number" ? `t = ${brief(time, 6)} ${data.time_unit}` : time;
        return `${k + 1}: ${where}${when}`;
      });
      const place = (at) => {
        simulation.place(at);
        view.fit();
      };
      this.origin = choice("Forecast", origins, this.acting(place));
      this.channel = choice("Channel", labels.slice(0, simulation.outputs), setScene("channel"));
      this.input = choice("Input", labels.slice(simulation.outputs), setScene("input"));
      const spans = WINDOWS.map((steps) => (steps ? plural(steps, "step") : "the whole run"));
      const show = (at) => setScene("show")(WINDOWS[at]);
      this.span = choice("Show", spans, show);
      const choices = [this.origin, this.channel, this.input, this.span];
      return make(
        "div",
        { className: "live-settings", role: "group", "aria-label": "Settings" },
        ...[this.warmup, this.noise, this.kickSize].map(({ element }) => element),
        ...choices.filter(({ input }) => input.length > 1).map(({ element }) => element),
      );
    }

    /** Return what changes samples without a mouse. */
    buildEditor(labels) {
      const { simulation } = this;
      const which = choice("Samples of", labels, () => {});
      const from = numberField("from step", { step: 1, value: -5 });
      const to = numberField("to step", { step: 1, value: 0 });
      const value = numberField("value", { value: 0 });
      const fields = [from, to, value];
      const set = () => {
        if (!fields.every(({ input }) => input.reportValidity())) return;
        const at = ({ input }) => Number(input.value) + simulation.context - 1;
        const begin = Math.max(at(from), 0);
        const count = Math.min(at(to), simulation.known - 1) - begin + 1;
        if (count < 1) return;
        const values = new Array(count).fill(Number(value.input.value));
        simulation.edit(Number(which.input.value), begin, values);
      };
      this.undo = button(
        "Undo all changes",
        "",
        this.acting(() => simulation.undoEdits()),
      );
      return make(
        "details",
        { className: "live-editor" },
        make("summary", {}, "Change samples by number"),
        make(
          "div",
          {},
          ...[which, ...fields].map(({ element }) => element),
          button("Change", "Let the network read this value at these steps", this.acting(set)),
          this.undo,
        ),
      );
    }

    /** Show in all controls what is set. */
    show() {
      const { simulation, scene } = this;
      const { settings, now } = simulation;
      this.warmup.input.max = simulation.context;
      this.warmup.show(settings.warmup);
      this.snapshot.show(now.snapshot);
      this.noise.show(placeIn(NOISES, now.noise));
      this.kickSize.show(placeIn(KICKS, this.kick));
      this.speedSlider.show(placeIn(SPEEDS, this.view.speed));
      this.origin.show(settings.origin);
      this.channel.show(scene.channel);
      this.input.show(scene.input);
      this.span.show(placeIn(WINDOWS, scene.show));
    }

    /** Name the buttons after what they do now. */
    nameButtons() {
      const { simulation, view } = this;
      const begins = simulation.isOver ? "Run again" : "Run";
      this.runButton.textContent = view.isRunning ? "Pause" : begins;
      this.feedButton.textContent = simulation.isFed ? "Let go" : "Feed again";
      this.feedButton.disabled = simulation.isOver || simulation.next >= simulation.known;
      this.undo.disabled = simulation.edits.size === 0;
    }
  }

  Sinernn.Controls = Controls;
}
