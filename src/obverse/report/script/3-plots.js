// Reliability and risk against coverage of the selected rows, in the frames that the page was rendered with.
const FRAME = { width: 520, height: 300, left: 68, right: 22, top: 10, bottom: 42 };
const SVG = "http://www.w3.org/2000/svg";

function svgNode(tag, attributes, text = "") {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = text;
  return node;
}

const plotX = share => FRAME.left + share * (FRAME.width - FRAME.left - FRAME.right);
const plotY = (value, most) => FRAME.top + (1 - Math.min(1, value / most)) * (FRAME.height - FRAME.top - FRAME.bottom);

// Both axes are shares; `most` is the top of the vertical one.
function drawGrid(svg, most) {
  const group = svgNode("g", { class: "grid" }), bottom = FRAME.height - FRAME.bottom;
  for (let k = 0; k <= 5; k++) {
    const x = plotX(k / 5), y = plotY(k / 5, 1);
    group.append(svgNode("path", { d: `M${x} ${FRAME.top}V${bottom}` }),
      svgNode("text", { x, y: bottom + 16, "text-anchor": "middle" }, `${20 * k} %`),
      svgNode("path", { d: `M${FRAME.left} ${y}H${FRAME.width - FRAME.right}` }),
      svgNode("text", { x: FRAME.left - 6, y: y + 4, "text-anchor": "end" }, `${+(20 * k * most).toPrecision(3)} %`));
  }
  svg.prepend(group);
}

// Replaces the plot's content below its axis names; without rows the rendered plot comes back.
function redraw(svg, before, isFiltered, most, draw) {
  svg.innerHTML = before;
  if (!isFiltered) return;
  for (const node of every(":scope > g[class], .mark, .mark + text", svg)) node.remove();
  drawGrid(svg, most);
  draw(svgGroup(svg, "c0"));
}

function svgGroup(svg, name) {
  const group = svgNode("g", { class: name });
  svg.append(group);
  return group;
}

function followReliability(svg, selection) {
  const before = svg.innerHTML, { data } = selection;
  selection.follow(() => redraw(svg, before, selection.isFiltered, 1, group => {
    const rows = selection.surestFirst, num = Math.max(1, Math.min(15, Math.floor(rows.length / 4)));
    svg.append(svgNode("path", { class: "guide-line", d: `M${plotX(0)} ${plotY(0, 1)}L${plotX(1)} ${plotY(1, 1)}` }));
    for (let bin = 0; bin < num && rows.length; bin++) {
      const part = rows.subarray(Math.floor(bin * rows.length / num), Math.floor((bin + 1) * rows.length / num));
      const mean = part.reduce((sum, row) => sum + sureness(data, row), 0) / part.length;
      const hits = part.reduce((sum, row) => sum + isRight(data, row), 0), [low, high] = wilson(hits, part.length);
      group.append(svgNode("path", { class: "bar", d: `M${plotX(mean)} ${plotY(low, 1)}V${plotY(high, 1)}` }),
        svgNode("circle", { cx: plotX(mean), cy: plotY(hits / part.length, 1), r: 3.2 }));
    }
  }));
}

// wrong[k]: mistakes among the k + 1 surest answers.
function mistakesBelow(selection, rows) {
  const wrong = new Uint32Array(rows.length);
  rows.forEach((row, k) => { wrong[k] = (k ? wrong[k - 1] : 0) + !isRight(selection.data, row); });
  return wrong;
}

function followRisk(svg, selection, panel) {
  const before = svg.innerHTML, { data } = selection;
  const slider = make("input", { type: "range", min: "0", max: "1000", value: "800" });
  const output = make("output", { className: "summary" });
  let rows, wrong;
  const show = () => {
    // By rank, because probabilities may lie close together; equal ones are accepted together.
    let num = Math.round(slider.value / 1000 * rows.length);
    const least = num ? data.confidence[rows[num - 1]] : 65535;
    while (num && num < rows.length && data.confidence[rows[num]] === least) num++;
    const share = rows.length ? num / rows.length : 0, x = plotX(share);
    one(".threshold", svg)?.remove();
    svg.append(svgNode("path", { class: "mark threshold", d: `M${x} ${FRAME.top}V${FRAME.height - FRAME.bottom}` }));
    const [low, high] = num ? wilson(wrong[num - 1], num) : [0, 1];
    const interval = data.grouped ? "" : ` (${percent(low)} to ${percent(high)})`;
    const name = data.sets ? "Score" : "Probability";
    output.value = num ? `${name} at least ${percent(least / 65535, least < 6554 ? 3 : 1)}: ${percent(share)} of the answers are `
      + `accepted, of these ${percent(wrong[num - 1] / num)} are wrong${interval}.` : "No answer is accepted.";
  };
  selection.follow(() => {
    rows = selection.surestFirst;
    wrong = mistakesBelow(selection, rows);
    const shares = Array.from(wrong, (count, k) => count / (k + 1)), most = Math.max(0.05, ...thinned(shares).map(k => shares[k]));
    redraw(svg, before, selection.isFiltered, most, group => {
      const path = thinned(shares).map((k, n) => `${n ? "L" : "M"}${plotX((k + 1) / rows.length).toFixed(1)} ${plotY(shares[k], most).toFixed(1)}`);
      group.append(svgNode("path", { class: "line", d: path.join("") }));
    });
    show();
  });
  slider.addEventListener("input", show);
  const drag = event => {
    if (!event.buttons || !rows.length) return;
    const box = svg.getBoundingClientRect(), x = (event.clientX - box.left) / box.width * FRAME.width;
    const share = Math.min(1, Math.max(0, (x - FRAME.left) / (FRAME.width - FRAME.left - FRAME.right)));
    slider.value = 1000 * share;
    show();
  };
  svg.addEventListener("pointerdown", drag);
  svg.addEventListener("pointermove", drag);
  svg.classList.add("can-drag");
  panel.append(make("label", { className: "slider" }, make("span", {}, "share of answers to accept, the surest first"), slider), output);
}

// At most 400 places of a long list, evenly spread, with both ends; shares of very few answers jump, so they come out.
function thinned(values) {
  const first = Math.min(values.length - 1, Math.floor(values.length / 50)), step = Math.max(1, Math.floor(values.length / 400));
  const places = [];
  for (let k = Math.max(0, first); k < values.length; k += step) places.push(k);
  if (values.length && places[places.length - 1] !== values.length - 1) places.push(values.length - 1);
  return places;
}
