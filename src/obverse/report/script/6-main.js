// Start: tables can be sorted at once; the other panels wait for the predictions.
async function start() {
  document.documentElement.classList.add("js");
  const packed = one("#predictions"), tables = every("table[data-table=classes]");
  const data = packed && await unpack(packed.textContent);
  const selection = data && new Selection(data);
  const followers = data ? tables.map(table => followClasses(table, data)) : [];
  every("table").forEach(enrichTable);
  every("[data-filter]").forEach(filterGallery);
  fitStops();
  addEventListener("resize", fitStops);
  document.addEventListener("toggle", fitStops, true);
  if (!data) return;
  const album = readAlbum(), panels = new Map(every("[data-panel]").map(panel => [panel.dataset.panel, panel]));
  const open = (name, build) => {
    const panel = panels.get(name);
    if (!panel) return;
    panel.hidden = false;
    panel.nextElementSibling?.classList.contains("static") && (panel.nextElementSibling.hidden = true);
    build(panel);
  };
  followers.forEach(follower => selection.follow(follower));
  open("answers", panel => buildAnswers(panel, selection, album));
  open("confusion", panel => new Confusion(panel, selection));
  open("map", panel => buildMap(panel, selection, album));
  followGalleries(selection);
  // The diagram of label sets is of single labels, which the page does not have.
  if (!data.sets) every("svg[data-curve=reliability]").forEach(svg => followReliability(svg, selection));
  open("threshold", panel => every("svg[data-curve=risk]").forEach(svg => followRisk(svg, selection, panel)));
  selection.changed();
  document.documentElement.dataset.ready = "yes";
}
start();
