// Buttons above a gallery, one for each group of its samples, such as a decision.
function filterGallery(gallery) {
  const figures = every("figure[data-group]", gallery), counts = new Map();
  for (const { dataset } of figures) counts.set(dataset.group, (counts.get(dataset.group) || 0) + 1);
  if (counts.size < 2) return;
  const bar = make("div", { className: "bar", role: "group", "aria-label": `Filter by ${gallery.dataset.filter}` });
  const choices = [[null, "all", figures.length], ...[...counts].map(([group, num]) => [group, group, num])];
  for (const [group, name, num] of choices) {
    const button = make("button", { type: "button" }, `${name} ${num.toLocaleString("en")}`);
    button.setAttribute("aria-pressed", String(group === null));
    button.addEventListener("click", () => {
      for (const other of every("button", bar)) other.setAttribute("aria-pressed", String(other === button));
      for (const figure of figures) figure.hidden = group !== null && figure.dataset.group !== group;
    });
    bar.append(button);
  }
  gallery.before(bar);
}
