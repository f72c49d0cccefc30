/* What is set in a live view, as the fragment of the page's address: a link reproduces it. */

{
  const KINDS = { k: "kick", f: "feed", s: "snapshot", n: "noise" };
  const LETTERS = Object.fromEntries(Object.entries(KINDS).map(([letter, kind]) => [kind, letter]));

  const MAX_EVENTS = 500; // more would be no address
  const MAX_EDITS = 2000;

  /** Return what is set, without what is as it was at first: `usual` are these values. */
  const written = (simulation, scene, usual, speed) => {
    const { settings, events, edits, data, channels } = simulation;
    const own = {
      ...settings,
      channel: scene.channel,
      input: scene.input,
      show: scene.show,
      speed,
    };
    const fields = new Map([["run", data.id]]);
    for (const [name, value] of Object.entries(own)) {
      if (value !== usual[name]) fields.set(name, value);
    }
    const happened = events.map(
      ({ index, kind, value }) => `${LETTERS[kind]}${scene.stepOf(index)}:${Number(value)}`,
    );
    if (happened.length) fields.set("events", happened.slice(-MAX_EVENTS).join(","));
    const places = [...edits.keys()].sort((a, b) => a - b).slice(0, MAX_EDITS);
    const pieces = new Map(); // of consecutive rows of a channel: values by `channel.row`
    const begun = {}; // the piece to which the next row of a channel belongs
    for (const place of places) {
      const [channel, row] = [place % channels, Math.floor(place / channels)];
      const last = begun[channel];
      if (last && last.next === row) {
        last.values.push(edits.get(place));
        last.next++;
      } else {
        begun[channel] = { next: row + 1, values: [edits.get(place)] };
        pieces.set(`${channel}.${row}`, begun[channel].values);
      }
    }
    const changed = [...pieces].map(([place, values]) => `${place}:${values.join("_")}`);
    if (changed.length) fields.set("edits", changed.join(","));
    return [...fields].map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
  };

  /** Return a whole number from 0 to `most`, or null. */
  const whole = (text, most) =>
    /^\d{1,7}$/.test(text ?? "") && text <= most ? Number(text) : null;

  const number = (text) => (text?.trim() && Number.isFinite(Number(text)) ? Number(text) : null);

  /** Set what a fragment says of this run, ignoring what does not fit; return its speed or null. */
  const read = (fragment, simulation, scene) => {
    const fields = new URLSearchParams(fragment);
    const { data, channels, outputs, snapshots } = simulation;
    if (fields.get("run") !== data.id) return null;
    const field = (name, most) => whole(fields.get(name), most);
    simulation.place(field("origin", data.origins.length - 1) ?? simulation.settings.origin);
    const { settings } = simulation;
    settings.warmup = Math.max(field("warmup", simulation.context) ?? settings.warmup, 1);
    settings.snapshot = field("snapshot", snapshots.length - 1) ?? settings.snapshot;
    settings.noise = Math.max(number(fields.get("noise")) ?? 0, 0);
    scene.channel = field("channel", outputs - 1) ?? scene.channel;
    scene.input = field("input", channels - outputs - 1) ?? scene.input;
    scene.show = field("show", 100_000) ?? scene.show;
    for (const piece of fields.get("edits")?.split(",") ?? []) {
      const [place, values] = piece.split(":");
      const [channel, row] = place.split(".").map((text) => whole(text, 1e7));
      const given = values?.split("_").map(number) ?? [null];
      const isThere = (row + given.length) * channels <= simulation.given.length;
      if (channel === null || row === null || channel >= channels || !isThere) continue;
      if (!given.includes(null)) simulation.edit(channel, row - simulation.begin, given);
    }
    for (const event of fields.get("events")?.split(",").slice(0, MAX_EVENTS) ?? []) {
      const [, letter, step, text] = event.match(/^([kfsn])(-?\d{1,7}):(.*)$/) ?? [];
      const value = number(text);
      if (value === null || (letter === "s" && whole(text, snapshots.length - 1) === null))
        continue;
      const index = Number(step) + simulation.context - 1;
      simulation.events.push({ index, kind: KINDS[letter], value });
    }
    simulation.events.sort((a, b) => a.index - b.index);
    simulation.rewind(0);
    return number(fields.get("speed"));
  };

  Sinernn.address = { written, read };
}
