"use strict";
(() => {
  const TYPES = "image/jpeg,image/png,image/webp,image/bmp,image/gif,image/tiff"; // not image/*: a phone then sends JPEG
  const AT_ONCE = 8, LOOK = "Where the model looks";
  const byId = id => document.getElementById(id);
  const pictures = new Map(); // view -> File
  let models = [], model = null, isStopped = false, results = [];

  function make(tag, text = "", attributes = {}) {
    const element = document.createElement(tag);
    element.textContent = text;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  }

  const percent = share => {
    for (let digits = 0; digits < 5; digits++) {
      const text = (100 * share).toFixed(digits);
      if (![0, 100].includes(Number(text)) || share === 0 || share === 1) return `${text} %`;
    }
    return share < 0.5 ? "0 %" : "above 99.99 %";
  };

  async function start() {
    try {
      models = await backend.models();
    } catch (problem) {
      byId("about").textContent = problem.message;
      return;
    }
    byId("model").replaceChildren(...models.map(each => make("option", each.name)));
    byId("models").hidden = models.length < 2;
    choose(models[0]);
  }

  function choose(chosen) {
    model = chosen;
    byId("title").textContent = document.title = model.name;
    const classes = model.classes.length > 8 ? [...model.classes.slice(0, 8), `${model.classes.length - 8} more`] : model.classes;
    const kind = model.is_label_set ? "Says which of these are there" : "Says which of these it is";
    byId("about").textContent = `${kind}: ${classes.join(", ")}.`;
    byId("boxes").replaceChildren(...model.views.map(box));
    byId("columns").replaceChildren(...model.columns.map(name => {
      const label = make("label", `${name} `);
      label.append(make("input", "", { name, "data-column": name }));
      return label;
    }));
    byId("many-how").textContent = model.views.length < 2 ? "Each picture is one object."
      : `Name each picture after its object and its view, such as coin7_${model.views[0]}.jpg and coin7_${model.views[1]}.jpg.`;
    byId("files").accept = TYPES;
    byId("one").hidden = byId("many").hidden = false;
    clear();
    clearTable();
  }

  function box(view) {
    const name = model.views.length < 2 && view === "image" ? "Picture" : view;
    const element = make("div", "", { class: "box" });
    const drop = make("label", "", { class: "drop" });
    const input = make("input", "", { type: "file", accept: TYPES, "aria-label": `${name}: choose a picture` });
    const camera = make("label", "Photograph", { class: "camera" });
    const lens = make("input", "", { type: "file", accept: TYPES, capture: "environment", "aria-label": `${name}: photograph` });
    for (const source of [input, lens]) source.addEventListener("change", () => source.files[0] && put(view, source.files[0]));
    camera.append(lens);
    onDrop(drop, files => put(view, files[0]));
    drop.append(input, make("span", "Choose a picture, or drop one here"));
    drop.dataset.view = view;
    if (model.views.length > 1 || view !== "image") element.append(make("h3", name));
    element.append(drop, camera);
    return element;
  }

  function onDrop(element, use) {
    for (const name of ["dragenter", "dragover"]) element.addEventListener(name, event => {
      event.preventDefault();
      element.classList.add("over");
    });
    for (const name of ["dragleave", "drop"]) element.addEventListener(name, () => element.classList.remove("over"));
    element.addEventListener("drop", event => {
      event.preventDefault();
      if (event.dataTransfer.files.length) use([...event.dataTransfer.files]);
    });
  }

  function put(view, file) {
    pictures.set(view, file);
    const drop = document.querySelector(`.drop[data-view="${CSS.escape(view)}"]`);
    const old = drop.querySelector("img");
    if (old) { URL.revokeObjectURL(old.src); old.remove(); }
    const image = make("img", "", { src: URL.createObjectURL(file), alt: `${view}: ${file.name}` });
    const words = drop.querySelector("span");
    words.hidden = true;
    image.addEventListener("error", () => { image.remove(); words.hidden = false; words.textContent = file.name; });
    drop.append(image);
    drop.classList.add("full");
    byId("send").disabled = false;
    byId("clear").hidden = false;
    byId("answer").replaceChildren();
    byId("problem").textContent = "";
  }

  function clear() {
    for (const image of document.querySelectorAll(".drop img")) URL.revokeObjectURL(image.src);
    pictures.clear();
    byId("boxes").replaceChildren(...model.views.map(box));
    byId("send").disabled = byId("clear").hidden = true;
    byId("answer").replaceChildren();
    byId("problem").textContent = "";
  }

  const typed = () => [...document.querySelectorAll("[data-column]")].filter(each => each.value.trim());

  async function askOne(event) {
    event.preventDefault();
    const button = byId("send"), columns = typed().map(input => [input.dataset.column, input.value.trim()]);
    const asked = { views: new Map(pictures), columns: new Map(columns) };
    button.disabled = true;
    button.textContent = "Asking …";
    byId("problem").textContent = "";
    byId("answer").replaceChildren();
    try {
      const [row] = await backend.predict(model, [asked]);
      if (row.error) byId("problem").textContent = `There is no answer. ${sentence(row.error)}`;
      else show(row, asked);
    } catch (problem) {
      byId("problem").textContent = problem.message;
    }
    button.disabled = false;
    button.textContent = "Ask";
  }

  const sentence = words => `${words[0].toUpperCase()}${words.slice(1)}.`;
  const named = row => row.labels ? row.labels.map(each => each.label).join(", ") || "none of the classes" : row.label;

  function rangeWords(row) {
    if (row.set_level === undefined) return "";
    const often = `In ${Math.round(100 * row.set_level)} of 100 cases`;
    if (row.set_words === "any") return `${often} the right answer is among all classes: the model cannot narrow it down.`;
    return `${often} the right answer is ${row.labels ? "covered by" : row.set.length > 1 ? "one of" : ""} ${row.set_words}.`.replace("  ", " ");
  }

  const VERDICTS = {
    accept: "This answer can be used as it is",
    review: "A person should look at this",
    reject: "This is unlike the pictures that the model has learned from",
  };

  function show(row, asked) {
    const parts = [make("h3", named(row))];
    if (row.confidence !== null) {
      const what = row.labels ? "Confidence score" : model.is_calibrated ? "Confidence" : "Confidence (not calibrated)";
      parts.push(make("p", `${what}: ${percent(row.confidence)}. ${rangeWords(row)}`));
    }
    if (row.decision) {
      const verdict = make("p", "", { class: `verdict ${row.decision}` });
      verdict.append(make("b", `${VERDICTS[row.decision]}.`), row.reason ? ` ${row.reason}.` : "");
      parts.push(verdict);
    }
    const shares = row.top ? row.top.map(each => [each.label, each.probability]) : Object.entries(row.probabilities);
    parts.push(make("h4", "Probabilities"), bars(shares));
    const alone = Object.entries(row.by_view);
    if (alone.length > 1) {
      const words = alone.map(([view, each]) => `${view}: ${[each].flat().map(one => `${one.label}, ${percent(one.probability)}`).join("; ") || "no class"}`);
      parts.push(make("h4", "Each view alone"), ...words.map(text => make("p", text)));
      if (row.views_disagree) parts.push(make("p", "The views disagree.", { class: "warning" }));
    }
    const missing = model.views.filter(view => !pictures.has(view));
    if (missing.length && missing.length < model.views.length) parts.push(make("p", `Without ${missing.join(", ")}: the answer is from the other views.`, { class: "warning" }));
    if (row.similar?.length) parts.push(make("h4", "Similar training pictures"), similar(row.similar));
    if (model.has_maps) parts.push(looking(row, asked));
    byId("answer").replaceChildren(...parts);
    byId("answer").focus({ preventScroll: false });
  }

  // Training samples that the model holds near to this one, the nearest first; their thumbnails follow.
  function similar(samples) {
    const list = make("ul", "", { class: "similar" });
    for (const { label, cosine, number } of samples) {
      const item = make("li"), words = make("span", `${label}, similarity ${cosine.toFixed(2)}`);
      item.append(words);
      list.append(item);
      backend.trainingPictures(model, number).then(pictures => words.before(...pictures.map(({ view, picture }) =>
        make("img", "", { src: picture, alt: `${view ? `${view} of a` : "a"} training picture with the label ${label}` }))),
      () => words.append(" (its picture cannot be loaded)"));
    }
    return list;
  }

  // A button that asks for the maps of an answer, and gives way to them.
  function looking(row, asked) {
    const part = make("div"), button = make("button", LOOK, { type: "button" });
    const problem = make("p", "", { class: "error", role: "alert" });
    button.addEventListener("click", async () => {
      button.disabled = true;
      button.textContent = "Looking …";
      problem.textContent = "";
      try {
        const { maps, error } = await backend.maps(model, asked);
        if (error) throw new Error(sentence(error));
        part.replaceChildren(...overlays(maps, asked.views, leading(row)));
        part.firstChild.focus();
      } catch (failure) {
        problem.textContent = failure.message;
        button.disabled = false;
        button.textContent = LOOK;
      }
    });
    part.append(button, problem);
    return part;
  }

  // The class that maps are of; of a label set the likeliest.
  const leading = row => row.label ?? Object.entries(row.probabilities).reduce((best, each) => (each[1] > best[1] ? each : best))[0];

  function overlays(maps, views, name) {
    const frames = make("div", "", { class: "looks" });
    frames.append(...Object.entries(maps).map(([view, map]) => overlay(view, map, views.get(view))));
    const label = make("label", "Strength of the map ", { class: "bar" }), range = make("input", "", { type: "range", min: 0, max: 100, value: 100 });
    range.addEventListener("input", () => {
      for (const map of frames.querySelectorAll(".map")) map.style.opacity = range.value / 100;
    });
    label.append(range);
    return [
      make("h4", LOOK, { tabindex: "-1" }),
      make("p", `Bright places speak for ${name}, each picture on a scale of its own. A map is a hint, not a proof.`),
      frames, label,
    ];
  }

  // A picture below its map, which covers it from edge to edge.
  function overlay(view, { picture, strongest }, file) {
    const figure = make("figure"), frame = make("div", "", { class: "frame" });
    const words = strongest ? `most of it in the ${strongest}` : "no place speaks for this class";
    const image = make("img", "", { src: URL.createObjectURL(file), alt: "" });
    image.addEventListener("load", () => {
      URL.revokeObjectURL(image.src);
      frame.style.width = `min(100%, ${20 * Math.min(1, image.naturalWidth / image.naturalHeight)}rem)`;
    });
    image.addEventListener("error", () => image.replaceWith(make("p", "This browser cannot show the picture, so here is its map alone.")));
    frame.append(image, make("img", "", { src: picture, class: "map", alt: `Map of ${model.views.length > 1 ? view : "the picture"}: ${words}` }));
    figure.append(frame, make("figcaption", model.views.length > 1 ? `${view}: ${words}` : sentence(words).slice(0, -1)));
    return figure;
  }

  function bars(shares) {
    const table = make("table", "", { class: "shares" }), body = make("tbody");
    table.append(make("caption", "Probability of each class", { class: "hidden-text" }), body);
    for (const [name, share] of shares) {
      const line = make("tr"), cell = make("td");
      cell.append(make("meter", percent(share), { value: share, min: 0, max: 1, "aria-hidden": "true" }));
      line.append(make("th", name, { scope: "row" }), make("td", percent(share), { class: "number right" }), cell);
      body.append(line);
    }
    return table;
  }

  // Files to objects: one each, or paired by their names without the name of the view.
  function objects(files) {
    if (model.views.length < 2) return files.map(file => ({ name: file.name, views: new Map([[model.views[0], file]]) }));
    const byKey = new Map();
    for (const file of files) {
      const path = (file.webkitRelativePath || file.name).replace(/\.[^.]*$/, "");
      const view = model.views.find(each => path.toLowerCase().includes(each.toLowerCase()));
      const at = view ? path.toLowerCase().indexOf(view.toLowerCase()) : 0;
      const key = view ? (path.slice(0, at) + path.slice(at + view.length)).replace(/[\s._/-]+/g, " ").trim() : file.name;
      const one = byKey.get(key) || { name: key || file.name, views: new Map() };
      if (!view) one.error = `its name holds none of ${model.views.join(", ")}`;
      else if (one.views.has(view)) one.error = `two pictures could be its ${view}`;
      else one.views.set(view, file);
      byKey.set(key, one);
    }
    return [...byKey.values()];
  }

  function clearTable() {
    results = [];
    byId("rows").replaceChildren();
    byId("head").replaceChildren(...backend.fields.map(text => make("th", text, { scope: "col" })));
    byId("table").hidden = byId("save").hidden = true;
    byId("progress").textContent = "";
  }

  async function askMany(files) {
    clearTable();
    const all = objects(files.filter(file => file.type.startsWith("image/") || !file.type));
    if (!all.length) {
      byId("progress").textContent = "There is no picture among these files.";
      return;
    }
    isStopped = false;
    byId("stop").hidden = byId("table").hidden = false;
    for (const one of all.filter(each => each.error)) add(one, { error: one.error });
    const good = all.filter(each => !each.error);
    for (let place = 0; place < good.length && !isStopped;) {
      const some = portion(good, place);
      place += some.length;
      await askSome(some);
      byId("progress").textContent = `${results.length} of ${all.length} answered.`;
    }
    const failed = results.filter(({ row }) => row.error).length;
    byId("progress").textContent = `${results.length} of ${all.length} answered${failed ? `, ${failed} of them with an error` : ""}.`;
    byId("stop").hidden = true;
    byId("save").hidden = false;
  }

  // As many objects as a request may have, in number and in bytes.
  function portion(good, place) {
    const some = [];
    let size = 0;
    while (place + some.length < good.length && some.length < Math.min(AT_ONCE, model.max_samples)) {
      const next = good[place + some.length];
      size += [...next.views.values()].reduce((sum, file) => sum + file.size, 0);
      if (some.length && size > model.max_body_bytes / 4) break;
      some.push(next);
    }
    return some;
  }

  async function askSome(some) {
    try {
      const rows = await backend.predict(model, some.map(({ views }) => ({ views, columns: new Map() })));
      some.forEach((one, number) => add(one, rows[number]));
    } catch (problem) {
      for (const one of some) add(one, { error: problem.message });
    }
  }

  // Cells of a row, in the order of the fields that the backend gives.
  const cells = ({ name, row }) => picked(row.error ? { object: name, decision: "error", reason: row.error, error: row.error } : {
    object: name, answer: named(row), confidence: row.confidence === null ? "" : percent(row.confidence), set: row.set_words,
    decision: row.decision, reason: row.reason,
  });
  const picked = values => backend.fields.map(field => values[field] ?? "");

  function add(one, row) {
    results.push({ name: one.name, row });
    const line = make("tr", "", row.error ? { class: "error" } : {});
    cells(results.at(-1)).forEach((text, place) => line.append(make(place ? "td" : "th", text, place ? {} : { scope: "row" })));
    byId("rows").append(line);
  }

  // A cell that a spreadsheet would take for a formula is marked as text.
  const quoted = text => `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;

  function save() {
    const exact = ({ name, row }) => row.error ? cells({ name, row }) : picked({
      object: name, answer: named(row), confidence: row.confidence, set: (row.set || []).join("|"), decision: row.decision,
      reason: row.reason,
    });
    const lines = [backend.fields, ...results.map(exact)].map(line => line.map(cell => quoted(String(cell))).join(","));
    const link = make("a", "", { href: URL.createObjectURL(new Blob([`\ufeff${lines.join("\r\n")}\r\n`], { type: "text/csv" })) });
    link.download = "answers.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  byId("ask").addEventListener("submit", askOne);
  byId("clear").addEventListener("click", () => { clear(); document.querySelector(".drop input").focus(); });
  byId("model").addEventListener("change", event => choose(models[event.target.selectedIndex]));
  byId("files").addEventListener("change", event => { askMany([...event.target.files]); event.target.value = ""; });
  onDrop(byId("many-drop"), askMany);
  byId("stop").addEventListener("click", () => { isStopped = true; });
  byId("save").addEventListener("click", save);
  backend.addEventListener("change", start);
  document.addEventListener("paste", event => {
    const file = [...event.clipboardData.files].find(each => each.type.startsWith("image/"));
    const view = model && model.views.find(each => !pictures.has(each));
    if (file && view) put(view, file);
  });
  // A file that misses its box must not replace the page.
  for (const name of ["dragover", "drop"]) window.addEventListener(name, event => event.preventDefault());
  byId("note").textContent = backend.note;
  start();
})();
