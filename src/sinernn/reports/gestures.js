/* What is done on the charts with a mouse or a finger: samples are dragged, inputs are drawn. */

{
  const NEAR = 24; // pixels around a sample that can be dragged

  /** Follow a pointer on a chart: `begin(x, y)` says whether it takes it, `move(x, y)` follows. */
  const follow = (plot, { begin, move, hover = () => false }) => {
    const { over } = plot;
    let isFollowing = false;
    const place = (event) => {
      const { left, top } = over.getBoundingClientRect();
      return [event.clientX - left, event.clientY - top];
    };
    over.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !begin(...place(event))) return;
      isFollowing = true;
      over.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    over.addEventListener("pointermove", (event) => {
      if (isFollowing) move(...place(event));
      over.classList.toggle("live-can-drag", isFollowing || hover(...place(event)));
    });
    for (const name of ["pointerup", "pointercancel"]) {
      over.addEventListener(name, () => {
        isFollowing = false;
      });
    }
    // A finger scrolls the page, unless it takes something.
    const keepPage = (event) => {
      if (isFollowing) event.preventDefault();
    };
    over.addEventListener(
      "touchstart",
      (event) => {
        if (begin(...place(event.touches[0]))) event.preventDefault();
      },
      { passive: false },
    );
    over.addEventListener("touchmove", keepPage, { passive: false });
  };

  /** Let samples that the network reads be dragged up and down. */
  const dragSamples = (chart, changed) => {
    const { scene, plot } = chart;
    const { simulation } = scene;
    let taken = null;
    const nearest = (x, y) => {
      const index = Math.round(plot.posToVal(x, "x")) + simulation.context - 1;
      const [begin, end] = chart.draggable;
      if (index < begin || index >= end) return null;
      const at = plot.valToPos(simulation.read(index, scene.channel), "y");
      return Math.abs(at - y) <= NEAR ? index : null;
    };
    follow(plot, {
      hover: (x, y) => nearest(x, y) !== null,
      begin: (x, y) => {
        taken = nearest(x, y);
        return taken !== null;
      },
      move: (_, y) => {
        const value = Math.min(Math.max(plot.posToVal(y, "y"), chart.range[0]), chart.range[1]);
        simulation.edit(scene.channel, taken, [value]);
        changed();
      },
    });
  };

  /** Let an input be drawn: every sample under the pointer, and between two of its places. */
  const drawInput = (chart, changed) => {
    const { scene, plot } = chart;
    const { simulation } = scene;
    let last = null;
    const put = (x, y) => {
      const { first, known } = simulation;
      const index = Math.round(plot.posToVal(x, "x")) + simulation.context - 1;
      const value = Math.min(Math.max(plot.posToVal(y, "y"), chart.range[0]), chart.range[1]);
      const here = { index: Math.min(Math.max(index, first), known - 1), value };
      const [a, b] = [last ?? here, here].sort((one, other) => one.index - other.index);
      const steps = b.index - a.index;
      const values = Array.from(
        { length: steps + 1 },
        (_, k) => a.value + (steps ? (k / steps) * (b.value - a.value) : here.value - a.value),
      );
      simulation.edit(chart.channel, a.index, values);
      last = here;
      changed();
    };
    follow(plot, {
      hover: () => true,
      begin: (x, y) => {
        last = null;
        put(x, y);
        return true;
      },
      move: put,
    });
  };

  Object.assign(Sinernn, { dragSamples, drawInput });
}
