/* Native controls with labels, and numbers as text. */

{
  /** Return a new element with properties, attributes (with a hyphen, or `role`) and children. */
  const make = (tag, properties = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name.includes("-") || name === "role") element.setAttribute(name, value);
      else element[name] = value;
    }
    element.append(...children);
    return element;
  };

  const button = (text, title, act) => {
    return make("button", { type: "button", title, onclick: act }, text);
  };

  /**
   * A slider over places 0 to `most`, beside the text of its place.
   *
   * `act(place)` is called when a user moves it; `show(place)` sets it without.
   */
  const slider = (label, most, textOf, act) => {
    const input = make("input", { type: "range", min: 0, max: most, step: 1, "aria-label": label });
    const text = make("span", { className: "live-value" }); // no <output>, which would be read aloud
    const show = (place) => {
      input.value = place;
      text.textContent = textOf(Number(input.value));
      input.setAttribute("aria-valuetext", text.textContent);
    };
    input.addEventListener("input", () => {
      show(input.value);
      act(Number(input.value));
    });
    const element = make(
      "label",
      { className: "live-slider" },
      make("span", {}, label),
      input,
      text,
    );
    return { element, input, show };
  };

  /** A choice among texts; `act` and `show` as those of a slider. */
  const choice = (label, texts, act) => {
    const select = make(
      "select",
      { "aria-label": label },
      ...texts.map((text, value) => make("option", { value }, text)),
    );
    select.addEventListener("input", () => act(Number(select.value)));
    const element = make("label", { className: "live-choice" }, make("span", {}, label), select);
    const show = (place) => {
      select.value = place;
    };
    return { element, input: select, show };
  };

  /** A number that is typed. */
  const numberField = (label, properties) => {
    const input = make("input", { type: "number", step: "any", required: true, ...properties });
    return {
      element: make("label", { className: "live-number" }, make("span", {}, label), input),
      input,
    };
  };

  /** A legend: for each kind of line, what it is. */
  const legend = (entries) =>
    make(
      "span",
      {},
      ...Object.entries(entries).map(([kind, text]) =>
        make("span", { className: "live-key" }, make("i", { className: `live-key-${kind}` }), text),
      ),
    );

  const plural = (count, what) => `${count} ${what}${count === 1 ? "" : "s"}`;

  /** Return a number in few characters, as in `0.318` or `3.2e-7`. */
  const brief = (value, digits = 3) => {
    if (!Number.isFinite(value)) return "–";
    const isPlain = value === 0 || (Math.abs(value) >= 1e-3 && Math.abs(value) < 1e6);
    return isPlain ? String(Number(value.toPrecision(digits))) : value.toExponential(digits - 2);
  };

  Sinernn.widgets = { make, button, slider, choice, numberField, legend, plural, brief };
}
