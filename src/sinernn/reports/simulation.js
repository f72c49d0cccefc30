/* A run of the network over a series: fed with samples, then free. No page, no chart. */

{
  const LEAST_STEPS = 1000; // of a free run without inputs, which may outlast the series
  const MAX_UNITS = 64; // whose history is kept, to be drawn

  /** Return 32 mixed bits of a whole number as a uniform value in (0, 1): MurmurHash3's finalizer. */
  const uniform = (number) => {
    let h = number | 0;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return (((h ^ (h >>> 16)) >>> 0) + 0.5) / 2 ** 32;
  };

  /** Return a normal value that depends on the step and on what it is for alone: runs repeat. */
  const normal = (step, index) => {
    const place = Math.imul(step, 0x9e3779b1) ^ Math.imul(index + 1, 0x7feb352d);
    const radius = Math.sqrt(-2 * Math.log(uniform(place)));
    return radius * Math.cos(2 * Math.PI * uniform(place ^ 0x5bd1e995));
  };

  /**
   * A run from one origin. Samples are counted by `index` from the first one that a warm-up may
   * read; sample `context` is the first one of the forecast, step 1 of a free run.
   *
   * `settings` apply from the beginning of a run: origin, warmup, snapshot, noise. `events` change
   * it on its way, before the sample at `index` is read: {index, kind, value} of the kinds
   * snapshot, noise, kick and feed. Both together determine the run.
   */
  class Simulation {
    /** @param data What sinernn.reports.live.live_data returns. */
    constructor(data) {
      const { network: shape, weights, scale } = data;
      this.data = data;
      this.network = new Sinernn.Network(shape);
      this.snapshots = weights.values.map((each) => Sinernn.decode(each, shape.dtype));
      if (this.snapshots.some((each) => each.length !== this.network.weightCount)) {
        throw new Error("the weights in this page are damaged: write the report again");
      }
      this.outputs = shape.outputs;
      this.channels = shape.outputs + shape.inputs;
      this.units = shape.num_layers * shape.hidden_size;
      this.start = new Float64Array(shape.states * this.units);
      if (data.start) this.start.set(Sinernn.decode(data.start, shape.dtype));
      this.scale = scale;
      this.observed = Sinernn.decode(data.observed);
      this.truth = data.truth && Sinernn.decode(data.truth);
      this.given = this.observed.slice(); // what the network reads: with what a user has changed
      this.edits = new Map(); // changed values by their place in `given`
      const { orbit } = data;
      this.axes = orbit && [Sinernn.decode(orbit.center), Sinernn.decode(orbit.axes)];
      const stride = Math.ceil(this.units / MAX_UNITS);
      this.shownUnits = Array.from(
        { length: Math.floor(this.units / stride) },
        (_, k) => k * stride,
      );
      this.state = this.start.slice();
      this.sample = new Float64Array(this.channels);
      this.output = new Float64Array(this.outputs);
      this.settings = {
        origin: 0,
        warmup: data.warmup,
        snapshot: this.snapshots.length - 1,
        noise: 0,
      };
      this.place(0);
    }

    /** Start anew from another origin. */
    place(origin) {
      const { row, begin, end } = this.data.origins[origin];
      this.settings.origin = origin;
      this.begin = begin;
      this.context = row - begin;
      this.known = end - begin; // samples
      const isDriven = this.channels > this.outputs;
      const free = this.known - this.context;
      this.length = this.context + (isDriven ? free : Math.max(this.data.horizon, LEAST_STEPS));
      this.settings.warmup = Math.min(this.settings.warmup, this.context);
      this.predicted = new Float64Array(this.length * this.outputs);
      this.errors = new Float64Array(this.length);
      this.rmses = new Float64Array(this.length); // since the network was let go
      this.isFree = new Uint8Array(this.length);
      this.hidden = new Float32Array(this.length * this.shownUnits.length);
      this.orbit = new Float32Array(this.length * 2);
      this.restart();
    }

    /** Start anew, with what applies now; what happened on the way is forgotten. */
    restart() {
      if (this.now) Object.assign(this.settings, this.now);
      this.events = [];
      this.rewind(0);
    }

    /** Begin again with the same settings and events; `catchUp` returns to sample `goal`. */
    rewind(goal = Math.max(this.next, this.goal)) {
      this.goal = goal;
      this.now = { snapshot: this.settings.snapshot, noise: this.settings.noise };
      this.first = this.next = this.context - this.settings.warmup;
      this.letGo = this.context; // samples from here on are the network's own
      this.squares = this.counted = 0;
      this.divergedAt = this.failedAt = null;
      this.eventsDone = 0;
      this.state.set(this.start);
      for (const array of [this.predicted, this.errors, this.rmses]) array.fill(NaN);
    }

    /** Go on to the sample at which a run was rewound, until `isLate()`; return whether it is there. */
    catchUp(isLate = () => false) {
      for (let done = 0; this.next < this.goal; done++) {
        if ((done % 16 === 15 && isLate()) || !this.step()) break;
      }
      return this.next >= this.goal || this.isOver;
    }

    /** Whether the last sample is predicted, or the network has diverged. */
    get isOver() {
      return this.next >= this.length - 1 || this.divergedAt !== null;
    }

    /** Whether the next sample is read from the series. */
    get isFed() {
      return this.next < this.letGo && this.next < this.known;
    }

    /** Change a setting for the whole run, which is repeated to where it is. */
    set(kind, value) {
      this.settings[kind] = value;
      this.events = this.events.filter((event) => event.kind !== kind);
      this.rewind();
    }

    /** Let something happen before the next sample is read. */
    happen(kind, value) {
      const { next: index } = this;
      const isSame = (event) => event.index === index && event.kind === kind && kind !== "kick";
      this.events = this.events.filter((event) => !isSame(event));
      this.events.push({ index, kind, value });
      this.events.sort((a, b) => a.index - b.index);
      this.eventsDone = this.events.findIndex((event) => event.index >= index);
      if (kind !== "kick") this.apply({ index, kind, value });
    }

    apply({ index, kind, value }) {
      if (kind === "kick") {
        for (let k = 0; k < this.state.length; k++) {
          this.state[k] += value * normal(index, this.channels + k);
        }
      } else if (kind === "feed") {
        this.letGo = value ? this.length : index;
        this.isFree[index] = !value;
        this.squares = this.counted = 0; // a free run begins or ends here
        this.failedAt = null;
        this.measure(index);
      } else {
        this.now[kind] = value;
      }
    }

    /** Change samples that the network reads; the run is repeated if it has read one of them. */
    edit(channel, index, values) {
      values.forEach((value, k) => {
        const row = this.begin + index + k;
        const rounded = Number(value.toPrecision(5)); // as in an address
        this.edits.set(row * this.channels + channel, rounded);
        this.given[row * this.channels + channel] = rounded;
      });
      if (index < this.next) this.rewind();
    }

    /** Restore all samples. */
    undoEdits() {
      this.edits.clear();
      this.given.set(this.observed);
      this.rewind();
    }

    /** Read the next sample and predict the one after; return false if there is none. */
    step() {
      if (this.isOver) return false;
      const { next: index, channels, outputs, scale, sample, output } = this;
      while (this.events[this.eventsDone]?.index === index)
        this.apply(this.events[this.eventsDone++]);
      const { isFed } = this;
      const weights = this.snapshots[this.now.snapshot];
      for (let i = 0; i < channels; i++) {
        const isOwn = i < outputs && !isFed;
        sample[i] = isOwn ? output[i] : (this.read(index, i) - scale.mean[i]) / scale.std[i];
        if (i < outputs && this.now.noise) sample[i] += this.now.noise * normal(index, i);
      }
      this.network.step(weights, sample, this.state);
      this.network.predict(weights, this.state, output);
      this.keep(index);
      this.next++;
      if (!output.every(Number.isFinite)) {
        this.divergedAt = this.next;
        output.fill(NaN); // as the engine does
      }
      for (let i = 0; i < outputs; i++) {
        this.predicted[this.next * outputs + i] = output[i] * scale.std[i] + scale.mean[i];
      }
      this.isFree[this.next] = this.isFed ? 0 : 1;
      this.measure(this.next);
      return true;
    }

    /** Keep the hidden state after the sample at `index`, for the strip and the orbit. */
    keep(index) {
      const { hidden, shownUnits, state, axes } = this;
      shownUnits.forEach((unit, k) => {
        hidden[index * shownUnits.length + k] = state[unit];
      });
      if (!axes) return;
      const [center, directions] = axes;
      for (let axis = 0; axis < 2; axis++) {
        let sum = 0;
        for (let k = 0; k < state.length; k++) {
          sum += (state[k] - center[k]) * directions[axis * state.length + k];
        }
        this.orbit[2 * index + axis] = sum;
      }
    }

    /** Measure the error of the prediction of sample `index`. */
    measure(index) {
      if (!this.isFree[index]) {
        this.squares = this.counted = 0;
        this.failedAt = null;
      }
      this.errors[index] = this.rmses[index] = NaN;
      if (index >= this.known) return;
      let sum = 0;
      for (let i = 0; i < this.outputs; i++) {
        const error = this.predicted[index * this.outputs + i] - this.true(index, i);
        sum += (error / this.data.unit[i]) ** 2;
      }
      this.errors[index] = Math.sqrt(sum / this.outputs);
      if (!this.isFree[index]) return;
      if (!(this.errors[index] <= this.data.valid_limit)) this.failedAt ??= index;
      this.squares += sum / this.outputs;
      this.counted += 1;
      this.rmses[index] = Math.sqrt(this.squares / this.counted);
    }

    /** Return the true value of an output; NaN beyond the series. */
    true(index, output) {
      if (index >= this.known) return NaN;
      return this.truth
        ? this.truth[(this.begin + index) * this.outputs + output]
        : this.observedAt(index, output);
    }

    /** Return a sample as it was recorded. */
    observedAt(index, channel) {
      return this.observed[(this.begin + index) * this.channels + channel];
    }

    /** Return a sample as the network reads it: a user may have changed it. */
    read(index, channel) {
      return this.given[(this.begin + index) * this.channels + channel];
    }
  }

  Sinernn.Simulation = Simulation;
}
