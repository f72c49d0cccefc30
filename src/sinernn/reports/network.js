"use strict";
/* The arithmetic of a recurrent network, in float64: no page, no chart. */

/** What the scripts of a report share. */
const Sinernn = {};

{
  const sigmoid = (x) => 1 / (1 + Math.exp(-x));

  /**
   * One step of a unit: the formulas of sinernn.model.cells.
   *
   * Each maps the unit's sums and its h to the next h; a cell with a second state updates c[unit].
   */
  const CELLS = {
    rnn_tanh: (sums) => Math.tanh(sums[0]),
    rnn_relu: (sums) => (sums[0] <= 0 ? 0 : sums[0]), // a NaN stays NaN
    gru: (sums, h) => {
      const [r, z] = [sigmoid(sums[1]), sigmoid(sums[2])];
      const n = Math.tanh(sums[0] + r * sums[3]);
      return n + z * (h - n);
    },
    lstm: (sums, h, c, unit) => {
      c[unit] = sigmoid(sums[1]) * c[unit] + sigmoid(sums[0]) * Math.tanh(sums[2]);
      return sigmoid(sums[3]) * Math.tanh(c[unit]);
    },
  };

  /** Return an array that Python wrote as base64 of little-endian floats. */
  const decode = (base64, dtype) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const kind = dtype === "float32" ? Float32Array : Float64Array;
    return Float64Array.from(new kind(bytes.buffer));
  };

  /** A network: maps a scaled sample and the hidden state to the next state and a prediction. */
  class Network {
    /**
     * @param shape cell, outputs, inputs, hidden_size, num_layers, states, and of each slot the
     *     gates that it sums: that of the input and that of the state, or null.
     * @throws {Error} This page has no formula of the cell.
     */
    constructor(shape) {
      this.cell = CELLS[shape.cell];
      if (!this.cell) {
        const known = Object.keys(CELLS).join(", ");
        throw new Error(`the cell ${shape.cell} cannot run in a page; there are ${known}`);
      }
      this.shape = shape;
      const units = shape.hidden_size;
      const gates = shape.slots.filter(([byInput]) => byInput !== null).length;
      this.sums = new Float64Array(shape.slots.length);
      this.before = new Float64Array(units);
      this.layers = [];
      let begin = 0; // in the order in which torch lists the weights
      const take = (count) => {
        begin += count;
        return begin - count;
      };
      for (let layer = 0; layer < shape.num_layers; layer++) {
        const reads = layer ? units : shape.outputs + shape.inputs;
        this.layers.push({
          reads,
          inputWeight: take(gates * units * reads),
          hiddenWeight: take(gates * units * units),
          inputBias: take(gates * units),
          hiddenBias: take(gates * units),
        });
      }
      this.readoutWeight = take(shape.outputs * units);
      this.readoutBias = take(shape.outputs);
      this.weightCount = begin;
    }

    /** Read a scaled sample: change `state` [states, layer, unit] to the next one. */
    step(weights, sample, state) {
      const { hidden_size: units, num_layers: count, states, slots } = this.shape;
      const { sums, before } = this;
      let read = sample;
      for (let layer = 0; layer < count; layer++) {
        const { reads, inputWeight, hiddenWeight, inputBias, hiddenBias } = this.layers[layer];
        const h = state.subarray(layer * units, (layer + 1) * units);
        const c = states === 2 ? state.subarray((count + layer) * units) : null;
        before.set(h);
        for (let unit = 0; unit < units; unit++) {
          for (let slot = 0; slot < slots.length; slot++) {
            const [byInput, byHidden] = slots[slot];
            let sum = 0;
            if (byInput !== null) {
              const row = byInput * units + unit;
              const first = inputWeight + row * reads;
              sum = weights[inputBias + row];
              for (let k = 0; k < reads; k++) sum += weights[first + k] * read[k];
            }
            if (byHidden !== null) {
              const row = byHidden * units + unit;
              const first = hiddenWeight + row * units;
              sum += weights[hiddenBias + row];
              for (let k = 0; k < units; k++) sum += weights[first + k] * before[k];
            }
            sums[slot] = sum;
          }
          h[unit] = this.cell(sums, before[unit], c, unit);
        }
        read = h;
      }
    }

    /** Write the prediction of the next outputs, in scaled units, to `output`. */
    predict(weights, state, output) {
      const { hidden_size: units, num_layers: count } = this.shape;
      const top = (count - 1) * units;
      for (let i = 0; i < output.length; i++) {
        let sum = weights[this.readoutBias + i];
        const first = this.readoutWeight + i * units;
        for (let k = 0; k < units; k++) sum += weights[first + k] * state[top + k];
        output[i] = sum;
      }
    }
  }

  Object.assign(Sinernn, { Network, decode, CELLS });
}
