// The map of embeddings on a canvas: a point per sample, with its picture beside the pointer.
const NEAR = 10;

function buildMap(panel, selection, album) {
  const { data } = selection, [xs, ys] = [data.column.x, data.column.y];
  const canvas = make("canvas", { role: "img", "aria-label": "Map of the samples: similar ones lie near each other." });
  const colours = ["right and wrong", ...(data.classes.length <= 6 && !data.sets ? ["true class"] : [])];
  const choose = make("select", { "aria-label": "colour of the points" }, ...colours.map(name => make("option", {}, name)));
  const legend = make("span", { className: "legend" }), card = make("div", { className: "map-card" });
  let side = 0;
  const place = row => [8 + xs[row] / 65535 * (side - 16), 8 + ys[row] / 65535 * (side - 16)];
  const names = () => (choose.value === "true class" ? data.classes : ["right", "wrong"]);
  const colourOf = row => {
    if (data.truth[row] === UNKNOWN) return "quiet";
    return choose.value === "true class" ? `c${data.truth[row]}` : isRight(data, row) ? "c0" : "c1";
  };
  const draw = () => {
    const ratio = devicePixelRatio || 1, context = canvas.getContext("2d");
    side = Math.min(panel.clientWidth, 560);
    canvas.style.width = canvas.style.height = `${side}px`;
    canvas.width = canvas.height = Math.round(side * ratio);
    context.scale(ratio, ratio);
    const size = data.num > 20000 ? 1.2 : data.num > 2000 ? 1.8 : 3.2, paints = {};
    let last = "";
    const dot = (row, name, alpha) => {
      if (name !== last) {
        context.fillStyle = paints[name] ||= paint(`--${name}`);
        context.globalAlpha = alpha;
        last = name;
      }
      const [x, y] = place(row);
      if (name === "c1" || size < 2) context.fillRect(x - size, y - size, 2 * size, 2 * size);
      else {
        context.beginPath();
        context.arc(x, y, size, 0, 7);
        context.fill();
      }
    };
    if (selection.isFiltered) for (let row = 0; row < data.num; row++) dot(row, "line", 0.5);
    for (const row of selection.rows) dot(row, colourOf(row), 0.75);
    legend.replaceChildren(...names().map((name, k) => make("span", { className: `c${k}` }, make("i"), name)));
  };
  const show = event => {
    const box = canvas.getBoundingClientRect(), [left, top] = [event.clientX - box.left, event.clientY - box.top];
    let best = -1, least = NEAR * NEAR;
    for (const row of selection.rows) {
      const [x, y] = place(row), distance = (x - left) ** 2 + (y - top) ** 2;
      if (distance < least) [best, least] = [row, distance];
    }
    card.replaceChildren(...(best < 0 ? [] : [answerFigure(data, album, best)]));
  };
  canvas.addEventListener("pointermove", show);
  canvas.addEventListener("click", show);
  choose.addEventListener("change", draw);
  addEventListener("resize", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  panel.append(make("div", { className: "bar" }, choose, legend), make("div", { className: "beside" }, canvas, card));
  selection.followNear(panel, draw);
}
