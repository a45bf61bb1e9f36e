// The filter, and the pictures of the answers that match it.
const STEP = 12;
const LOOK = "Choose a class, a result, a range of probabilities: the pictures, the table of classes, the confusion matrix "
  + "and the curves on this page follow.";
const LOOK_AT_SETS = "Choose a label, a result, a range of scores: the pictures, the table of classes, the map and the curve of "
  + "accepted answers follow. The score of an answer is the product of its labels' probabilities, and ranks answers only.";
const MISTAKES = "surest mistakes";
const ORDERS = {
  [MISTAKES]: (data, row) => 65535 - data.confidence[row],
  "least sure first": (data, row) => data.confidence[row],
  "surest first": (data, row) => 65535 - data.confidence[row],
};

function chooser(label, names, onChange, any = "any") {
  const select = make("select", { "aria-label": label }, make("option", { value: "-1" }, any));
  names.forEach((name, k) => select.append(make("option", { value: String(k) }, name)));
  select.addEventListener("change", () => onChange(+select.value));
  return [make("label", {}, make("span", {}, label), select), select];
}

function confidenceFields(selection) {
  const fields = ["low", "high"].map(end => {
    const name = `${end === "low" ? "least" : "greatest"} ${sureName(selection.data)}, per cent`;
    const input = make("input", { type: "number", min: "0", max: "100", step: "1", "aria-label": name });
    input.addEventListener("input", () => {
      const value = input.value === "" ? (end === "low" ? 0 : 100) : Math.min(100, Math.max(0, +input.value));
      selection[end] = value / 100;
      selection.changed();
    });
    return input;
  });
  fields[0].placeholder = "0";
  fields[1].placeholder = "100";
  return [make("div", { className: "field" }, make("span", {}, `${sureName(selection.data)}, %`), make("div", {}, fields[0], "–", fields[1])), fields];
}

function buildFilter(selection) {
  const { data } = selection, update = set => value => { set(value); selection.changed(); };
  const [truth, truthSelect] = chooser(data.sets ? "true label" : "true class", data.classes, update(k => { selection.truth = k; }));
  const [answer, answerSelect] = chooser(data.sets ? "label in the answer" : "answer", data.classes, update(k => { selection.answer = k; }));
  const [right, rightSelect] = chooser("result", ["wrong", "right"], update(k => { selection.right = k; }));
  const [confidence, fields] = confidenceFields(selection);
  const facets = data.facets.map(facet =>
    [facet.name, ...chooser(facet.name, facet.values, update(k => { selection.facets.set(facet.name, k); }))]);
  const clear = make("button", { type: "button" }, "Show all");
  clear.addEventListener("click", () => { selection.clear(); selection.changed(); });
  selection.follow(() => {  // a click in another panel changes the selection, too
    truthSelect.value = selection.truth;
    answerSelect.value = selection.answer;
    rightSelect.value = selection.right;
    for (const [name, , select] of facets) select.value = selection.facets.get(name);
    if (!selection.isFiltered) fields.forEach(field => { field.value = ""; });
    clear.disabled = !selection.isFiltered;
  });
  return make("form", { className: "filter", "aria-label": "Filter of all panels", onsubmit: () => false },
    truth, answer, right, confidence, ...facets.map(facet => facet[1]), clear);
}

function summary(selection) {
  const { data, rows, known } = selection, hits = known.reduce((sum, row) => sum + isRight(data, row), 0);
  const whole = selection.isFiltered ? `${rows.length.toLocaleString("en")} of ${data.num.toLocaleString("en")} answers match`
    : `${data.num.toLocaleString("en")} answers`;
  if (!known.length || selection.right >= 0) return `${whole}.`;
  const [low, high] = wilson(hits, known.length);
  const interval = data.grouped ? "" : ` (95 % interval ${percent(low)} to ${percent(high)})`;
  return `${whole}; ${percent(hits / known.length)} of them are right${interval}.`;
}

function decisionTags(data, row) {
  return data.facets.filter(facet => facet.name === "decision").map(facet =>
    make("span", { className: "tag" }, facet.values[data.column[`facet ${facet.name}`][row]]));
}

function answerFigure(data, album, row) {
  const isWrong = data.truth[row] !== UNKNOWN && !isRight(data, row);
  const pictures = (album.get(row) || []).map(([src, alt]) => make("img", { src, alt }));
  const figure = make("figure", { className: isWrong ? "wrong" : "" });
  if (pictures.length > 1) figure.style.setProperty("--n", pictures.length);
  figure.append(
    pictures.length ? make("div", { className: "views" }, ...pictures) : "",
    make("figcaption", {}, make("b", {}, className(data, data.answer[row])), ` ${percent(sureness(data, row))}`,
      make("br"), `label ${className(data, data.truth[row])}`, make("br"), ...decisionTags(data, row),
      make("span", { className: "id", title: data.ids[row] }, data.ids[row])));
  return figure;
}

function buildAnswers(panel, selection, album) {
  const { data } = selection, output = make("output", { className: "summary" }), grid = make("div", { className: "gallery" });
  const order = make("select", { "aria-label": "order of the answers" },
    ...Object.keys(ORDERS).map(name => make("option", { value: name }, name)));
  const more = make("button", { type: "button" }, "Show more");
  let sorted = [], num = STEP;
  const draw = () => {
    grid.replaceChildren(...Array.from(sorted.slice(0, num), row => answerFigure(data, album, row)));
    more.hidden = num >= sorted.length;
  };
  const sort = () => {
    const keyOf = ORDERS[order.value];
    const mistakes = order.value === MISTAKES ? selection.known.filter(row => !isRight(data, row)) : [];
    const total = mistakes.length.toLocaleString("en");
    output.value = summary(selection) + (mistakes.length ? ` Below: the ${total} wrong, the surest first.` : "");
    // Answers with pictures come first: those without can only be read.
    sorted = ordered(mistakes.length ? mistakes : selection.rows, row => (album.has(row) ? 0 : 131072) + keyOf(data, row));
    num = STEP;
    draw();
  };
  order.addEventListener("change", sort);
  more.addEventListener("click", () => { num += STEP; draw(); });
  panel.append(make("p", { className: "quiet" }, data.sets ? LOOK_AT_SETS : LOOK), buildFilter(selection), make("div", { className: "bar" }, output, order), grid, more);
  selection.follow(sort);
}

// Galleries of the static page show only the items that match.
function followGalleries(selection) {
  const figures = every("figure[data-row]").map(figure => [figure, +figure.dataset.row]);
  selection.follow(() => {
    for (const [figure, row] of figures) figure.hidden = !selection.isChosen[row];
  });
}
