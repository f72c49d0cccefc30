/* Shows the live view of a run in the page, and that of another one when it is chosen. */

{
  const place = document.getElementById("live");
  const sources = [...document.querySelectorAll("script[data-run]")];
  const buttons = [...document.querySelectorAll("button[data-live]")];
  let shown = null;
  let view = null;

  const show = (source) => {
    if (source === shown) return;
    shown = source;
    view?.destroy();
    view = Sinernn.mountLive(place, JSON.parse(source.textContent));
    for (const button of buttons) {
      const isShown = button.dataset.live === source.id;
      if (isShown) document.getElementById("live-run").textContent = button.textContent;
      button.setAttribute("aria-pressed", isShown);
      button.closest("tr").classList.toggle("shown", isShown);
    }
  };

  /** Show the run that the address names, if it is in the page. */
  const follow = () => {
    const name = new URLSearchParams(location.hash.slice(1)).get("run");
    const named = sources.find((source) => source.dataset.run === name);
    if (named) show(named);
  };

  for (const button of buttons) {
    button.addEventListener("click", () => {
      const source = document.getElementById(button.dataset.live);
      history.replaceState(null, "", `#run=${encodeURIComponent(source.dataset.run)}`);
      show(source);
      document.getElementById("live-heading").scrollIntoView();
    });
  }
  addEventListener("hashchange", follow);
  follow();
  if (!shown) show(sources[0]);
}
