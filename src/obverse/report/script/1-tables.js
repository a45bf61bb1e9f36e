// Tables that can be sorted by a click on a header and searched by a word; the table of classes follows the filter.
const LEAST_SORTED = 8, LEAST_SEARCHED = 12;

function sortKey(text) {
  const match = /^[-+−]?\d[\d.,]*/.exec(text);
  return match ? parseFloat(match[0].replace("−", "-").replace(/,/g, "")) : null;
}

function compareCells(a, b, sign) {
  const [x, y] = [sortKey(a), sortKey(b)];
  if (x !== null && y !== null) return sign * (x - y);
  if (x !== null || y !== null) return x === null ? 1 : -1;
  return sign * a.localeCompare(b, undefined, { numeric: true });
}

function sortTable(table, column, header) {
  const isDown = header.getAttribute("aria-sort") === "ascending";
  for (const other of every("thead th", table)) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", isDown ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) => compareCells(a.cells[column].textContent, b.cells[column].textContent, isDown ? -1 : 1));
  table.tBodies[0].append(...rows);
}

function enrichTable(table) {
  const rows = [...table.tBodies[0].rows];
  if (rows.length < LEAST_SORTED) return;
  every("thead th", table).forEach((header, column) => {
    if (!header.textContent) return;
    const button = make("button", { type: "button", className: "sort" }, header.textContent);
    header.replaceChildren(button);
    button.addEventListener("click", () => sortTable(table, column, header));
  });
  if (rows.length < LEAST_SEARCHED) return;
  const label = `Search ${rows.length} rows`;
  const search = make("input", { type: "search", className: "search", placeholder: label, "aria-label": label });
  search.addEventListener("input", () => {
    const word = search.value.toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(word);
  });
  table.closest(".table").before(search);
}

// Only tables that scroll are tab stops.
function fitStops() {
  for (const box of every(".table")) box.tabIndex = box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight ? 0 : -1;
}

// Precision, recall and F1 of the selected rows, in the columns that have these names.
function followClasses(table, data) {
  const rows = [...table.tBodies[0].rows], before = rows.map(row => [...row.cells].map(cell => cell.textContent));
  const names = every("thead th", table).map(header => header.textContent);
  return selection => {
    const num = data.classes.length;
    const [labels, given, hits] = [0, 0, 0].map(() => new Uint32Array(num));
    for (const row of selection.known) {
      const truth = classesOf(data, data.truth[row]), answer = classesOf(data, data.answer[row]);
      for (const k of truth) labels[k]++;
      for (const k of answer) given[k]++;
      for (const k of answer) hits[k] += truth.includes(k);
    }
    const share = (a, b) => (b ? (a / b).toFixed(3) : "–");
    rows.forEach((row, k) => names.forEach((name, column) => {
      const values = {
        labels: labels[k], predicted: given[k], precision: share(hits[k], given[k]),
        recall: share(hits[k], labels[k]), F1: share(2 * hits[k], labels[k] + given[k]),
      };
      if (name in values) row.cells[column].textContent = selection.isFiltered ? values[name] : before[k][column];
      else if (column) row.cells[column].classList.toggle("unfiltered", selection.isFiltered);
    }));
  };
}
