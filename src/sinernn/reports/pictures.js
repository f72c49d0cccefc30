/* The pictures of the hidden state: a strip of its units, and its orbit. */

{
  const { LEFT, RIGHT } = Sinernn; // margins of the charts, with whose steps the strip is aligned
  const TRAIL = 200; // states of the orbit behind the present one

  /** Fit a canvas to a size in CSS pixels; return its context, in these pixels, cleared. */
  const prepared = (canvas, width, height) => {
    const scale = devicePixelRatio;
    if (
      canvas.width !== Math.round(width * scale) ||
      canvas.height !== Math.round(height * scale)
    ) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      canvas.style.width = `${width}px`;
      canvas.style.height = `${height}px`;
    }
    const context = canvas.getContext("2d");
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    return context;
  };

  /** The values of the hidden units over the steps of the window, a row each. */
  class Strip {
    constructor(scene, canvas) {
      Object.assign(this, { scene, canvas, width: 300, height: 100 });
      this.image = document.createElement("canvas");
    }

    draw() {
      const { scene, canvas, width, height, image } = this;
      const { simulation, window } = scene;
      const { hidden, first, next, shownUnits } = simulation;
      const context = prepared(canvas, width, height);
      const rows = shownUnits.length;
      const begin = Math.max(window[0], first);
      const columns = Math.min(next, window[1] + 1) - begin;
      const plotWidth = width - LEFT - RIGHT;
      context.strokeStyle = scene.colours.grid;
      context.strokeRect(LEFT + 0.5, 0.5, plotWidth - 1, height - 1);
      if (columns < 1) return;
      [image.width, image.height] = [columns, rows];
      const pixels = image.getContext("2d").createImageData(columns, rows);
      let largest = 1; // of a bounded cell; rectified linear units may grow
      for (let k = begin * rows; k < (begin + columns) * rows; k++) {
        const size = Math.abs(hidden[k]);
        if (size > largest) largest = Math.min(size, 100);
      }
      const [low, middle, high] = ["low", "middle", "high"].map((name) => rgb(scene.colours[name]));
      for (let column = 0; column < columns; column++) {
        for (let row = 0; row < rows; row++) {
          const value = hidden[(begin + column) * rows + row] / largest;
          const share = Math.min(Math.abs(value), 1);
          const end = value < 0 ? low : high;
          const at = 4 * (row * columns + column);
          for (let k = 0; k < 3; k++) {
            pixels.data[at + k] = middle[k] + share * (end[k] - middle[k]);
          }
          pixels.data[at + 3] = 255;
        }
      }
      image.getContext("2d").putImageData(pixels, 0, 0);
      const perStep = plotWidth / (window[1] - window[0]);
      context.imageSmoothingEnabled = false;
      const left = LEFT + (begin - window[0] - 0.5) * perStep;
      context.beginPath();
      context.rect(LEFT, 0, plotWidth, height);
      context.save();
      context.clip();
      context.drawImage(image, left, 1, columns * perStep, height - 2);
      context.restore();
      context.fillStyle = scene.colours.ink;
      context.font = "12px system-ui, sans-serif";
      context.textAlign = "right";
      context.fillText("1", LEFT - 6, 11);
      context.fillText(String(simulation.units), LEFT - 6, height - 3);
    }
  }

  /** Return red, green and blue of a colour such as #0072B2. */
  const rgb = (colour) => [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16));

  /** The hidden state in two principal components, over the orbit of a fed network. */
  class Orbit {
    constructor(scene, canvas) {
      Object.assign(this, { scene, canvas, width: 260, height: 260 });
      const { orbit } = scene.simulation.data;
      this.driven = orbit ? Sinernn.decode(orbit.driven, "float32") : [];
      this.labels = (orbit?.explained ?? []).map(
        (share, k) => `component ${k + 1} (${Math.round(100 * share)} %) →`,
      );
      this.usualReach = 1.25 * largestOf(this.driven, 0, this.driven.length) || 1;
      this.backdrop = document.createElement("canvas");
    }

    draw() {
      const { scene, canvas, width, height } = this;
      if (width < 1) return; // as for an instant while a page is laid out anew
      const { colours, simulation } = scene;
      const { orbit, first, next } = simulation;
      const begin = Math.max(first, next - TRAIL);
      this.reach = Math.max(this.usualReach, 1.1 * largestOf(orbit, 2 * begin, 2 * next));
      const drawn = [width, height, this.reach, colours.ink, devicePixelRatio].join();
      if (drawn !== this.drawn) this.drawBackdrop();
      this.drawn = drawn;
      const context = prepared(canvas, width, height);
      context.drawImage(this.backdrop, 0, 0, width, height);
      context.strokeStyle = context.fillStyle = colours.model;
      context.lineWidth = 1.5;
      const pieces = 5; // the older, the paler
      const end = (piece) => begin + Math.round(((next - begin) * piece) / pieces);
      for (let piece = 0; piece < pieces; piece++) {
        context.globalAlpha = (piece + 1) / pieces;
        this.trace(context, orbit, end(piece), Math.min(end(piece + 1) + 1, next));
      }
      if (next === first || !Number.isFinite(orbit[2 * next - 2])) return;
      context.beginPath();
      context.arc(...this.place(orbit, next - 1), 5, 0, 2 * Math.PI);
      context.fill();
    }

    /** Draw the frame and the orbit of the fed network, which stay as they are for many frames. */
    drawBackdrop() {
      const { scene, width, height, driven, labels } = this;
      const context = prepared(this.backdrop, width, height);
      context.lineJoin = "round";
      context.strokeStyle = scene.colours.faint;
      context.lineWidth = 3;
      this.trace(context, driven, 0, driven.length / 2);
      context.strokeStyle = scene.colours.grid;
      context.lineWidth = 1;
      context.strokeRect(0.5, 0.5, width - 1, height - 1);
      context.fillStyle = scene.colours.ink;
      context.font = "12px system-ui, sans-serif";
      context.textAlign = "center";
      context.fillText(labels[0] ?? "", width / 2, height - 6);
      context.translate(14, height / 2);
      context.rotate(-Math.PI / 2);
      context.fillText(labels[1] ?? "", 0, 0);
    }

    /** Draw a line through states `from` to `to`, which is not included. */
    trace(context, states, from, to) {
      context.beginPath();
      for (let k = from; k < to; k++) {
        if (Number.isFinite(states[2 * k])) context.lineTo(...this.place(states, k));
      }
      context.stroke();
    }

    place(states, k) {
      const half = Math.min(this.width, this.height) / 2 - 12;
      return [
        this.width / 2 + (half * states[2 * k]) / this.reach,
        this.height / 2 - (half * states[2 * k + 1]) / this.reach,
      ];
    }
  }

  /** Return the largest absolute value of a part of an array; those without bound are left out. */
  const largestOf = (values, begin, end) => {
    let largest = 0;
    for (let k = begin; k < end; k++) {
      const size = Math.abs(values[k]);
      if (size > largest && size < 1e6) largest = size;
    }
    return largest;
  };

  Object.assign(Sinernn, { Strip, Orbit });
}
