// The confusion matrix on a canvas: any number of classes, zoom, and a cell that sets the filter.
const MOST_MARGIN = 112, MOST_SIDE = 640;

function paint(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function rgb(colour) {
  const full = colour.length === 4 ? colour.replace(/[^#]/g, "$&$&") : colour;
  return [1, 3, 5].map(k => parseInt(full.slice(k, k + 2), 16));
}

const NAME_FONT = "12px system-ui, sans-serif", NAME_GAP = 10;

// The name within a width. Names of classes often differ at their ends only, so the middle goes.
function shortened(context, name, width) {
  const letters = [...name];
  let text = name;
  for (let keep = Math.min(16, letters.length - 1); keep > 1 && context.measureText(text).width > width; keep--) {
    text = `${letters.slice(0, Math.ceil(keep / 2)).join("")}…${letters.slice(-Math.floor(keep / 2)).join("")}`;
  }
  return text;
}

class Confusion {
  constructor(panel, selection) {
    this.selection = selection;
    this.data = selection.data;
    this.num = this.data.classes.length;
    this.cursor = [0, 0];
    const context = make("canvas").getContext("2d");
    context.font = NAME_FONT;
    this.names = this.data.classes.map(name => shortened(context, name, MOST_MARGIN - NAME_GAP));
    this.margin = NAME_GAP + this.names.reduce((most, name) => Math.max(most, Math.ceil(context.measureText(name).width)), 16);
    this.fit();
    const label = "Confusion matrix: rows are true classes, columns answers. Arrow keys move, Enter filters by the cell, "
      + "plus and minus zoom.";
    this.canvas = make("canvas", { tabIndex: 0, "aria-label": label, role: "application" });
    this.output = make("output", { className: "summary" });
    panel.append(this.buttons(), this.canvas, this.output);
    this.listen();
    this.counts = new Uint32Array(this.num * this.num);
    this.totals = new Uint32Array(this.num);
    selection.followNear(panel, () => { this.count(); this.draw(); });
    addEventListener("resize", () => this.draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }
  fit() {
    this.zoom = 1;
    this.left = this.top = 0;
  }
  buttons() {
    const button = (text, label, act) => {
      const node = make("button", { type: "button", "aria-label": label }, text);
      node.addEventListener("click", () => { act(); this.draw(); });
      return node;
    };
    return make("div", { className: "bar" }, button("+", "zoom in", () => this.zoomBy(1.5)),
      button("−", "zoom out", () => this.zoomBy(1 / 1.5)), button("whole", "whole matrix", () => this.fit()));
  }
  count() {
    const { data, num } = this;
    this.counts = new Uint32Array(num * num);
    for (const row of this.selection.known) this.counts[data.truth[row] * num + data.answer[row]]++;
    this.totals = new Uint32Array(num);
    this.counts.forEach((count, cell) => { this.totals[Math.floor(cell / num)] += count; });
  }
  // One pixel per cell: blue on the diagonal, orange off it, darker for a larger share of the true class.
  image() {
    const { num } = this, pixels = new ImageData(num, num), paper = rgb(paint("--paper"));
    const inks = [rgb(paint("--c0")), rgb(paint("--c1"))];
    this.counts.forEach((count, cell) => {
      const share = count ? 0.12 + 0.88 * Math.sqrt(count / this.totals[Math.floor(cell / num)]) : 0;
      const ink = inks[cell % (num + 1) ? 1 : 0];
      for (let k = 0; k < 3; k++) pixels.data[4 * cell + k] = paper[k] + share * (ink[k] - paper[k]);
      pixels.data[4 * cell + 3] = 255;
    });
    const image = make("canvas", { width: num, height: num });
    image.getContext("2d").putImageData(pixels, 0, 0);
    return image;
  }
  draw() {
    const { canvas, num } = this, ratio = devicePixelRatio || 1;
    const side = Math.min(canvas.parentNode.clientWidth - this.margin, MOST_SIDE, Math.max(180, 64 * num));
    this.side = side;
    this.cell = side / num * this.zoom;
    canvas.style.width = canvas.style.height = `${side + this.margin}px`;
    canvas.width = canvas.height = Math.round((side + this.margin) * ratio);
    const context = canvas.getContext("2d");
    context.scale(ratio, ratio);
    context.save();
    context.beginPath();
    context.rect(this.margin, this.margin, side, side);
    context.clip();
    context.imageSmoothingEnabled = false;
    context.drawImage(this.image(), this.margin - this.left * this.cell, this.margin - this.top * this.cell, num * this.cell, num * this.cell);
    this.drawCells(context);
    context.restore();
    context.strokeStyle = paint("--line");
    context.strokeRect(this.margin, this.margin, side, side);
    this.drawNames(context);
    this.say();
  }
  drawCells(context) {
    const { cell, cursor: [row, column] } = this, paper = paint("--paper"), ink = paint("--ink");
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.font = `${Math.min(13, cell / 2.4)}px system-ui, sans-serif`;
    this.eachVisible((r, c, x, y) => {
      const count = this.counts[r * this.num + c];
      if (cell < 24 || !count) return;
      context.fillStyle = count / this.totals[r] > 0.3 ? paper : ink;
      context.fillText(count, x + cell / 2, y + cell / 2);
    });
    context.strokeStyle = ink;
    context.lineWidth = 2;
    context.strokeRect(this.margin + (column - this.left) * cell, this.margin + (row - this.top) * cell, cell, cell);
    context.lineWidth = 1;
  }
  eachVisible(act) {
    if (this.cell < 24) return;
    const last = Math.ceil(this.side / this.cell) + 1;
    for (let r = Math.floor(this.top); r < Math.min(this.num, this.top + last); r++)
      for (let c = Math.floor(this.left); c < Math.min(this.num, this.left + last); c++)
        act(r, c, this.margin + (c - this.left) * this.cell, this.margin + (r - this.top) * this.cell);
  }
  drawNames(context) {
    const { cell, num, side } = this, step = Math.max(1, Math.ceil(13 / cell));
    context.fillStyle = paint("--quiet");
    context.font = NAME_FONT;
    for (let k = 0; k < num; k += step) {
      const name = this.names[k], down = (k - this.top + 0.5) * cell, along = (k - this.left + 0.5) * cell;
      context.textBaseline = "middle";
      context.textAlign = "right";
      if (down > 0 && down < side) context.fillText(name, this.margin - 6, this.margin + down);
      if (along <= 0 || along >= side) continue;
      context.save();
      context.translate(this.margin + along, this.margin - 6);
      context.rotate(-Math.PI / 2);
      context.textAlign = "left";
      context.fillText(name, 0, 0);
      context.restore();
    }
  }
  say() {
    const { num, data, cursor: [row, column] } = this, count = this.counts[row * num + column], total = this.totals[row];
    const share = total ? `, ${percent(count / total)} of the ${total} of this class` : "";
    this.output.value = `true ${data.classes[row]}, answer ${data.classes[column]}: ${count}${share}`;
  }
  clamp() {
    const most = this.num - this.num / this.zoom;
    this.left = Math.min(most, Math.max(0, this.left));
    this.top = Math.min(most, Math.max(0, this.top));
  }
  zoomBy(factor, at = [this.cursor[1] + 0.5, this.cursor[0] + 0.5]) {
    const before = this.zoom;
    this.zoom = Math.min(Math.max(1, this.num / 4), Math.max(1, this.zoom * factor));
    this.left = at[0] - (at[0] - this.left) * before / this.zoom;
    this.top = at[1] - (at[1] - this.top) * before / this.zoom;
    this.clamp();
  }
  placeOf(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top].map((v, axis) =>
      (v - this.margin) / this.cell + (axis ? this.top : this.left));
  }
  moveTo(row, column) {
    const shown = this.num / this.zoom, inside = k => Math.min(this.num - 1, Math.max(0, k));
    this.cursor = [inside(row), inside(column)];
    const follow = (start, k) => Math.min(k, Math.max(start, k + 1 - shown));
    this.top = follow(this.top, this.cursor[0]);
    this.left = follow(this.left, this.cursor[1]);
    this.clamp();
    this.draw();
  }
  choose() {
    [this.selection.truth, this.selection.answer] = this.cursor;
    this.selection.changed();
    one("[data-panel=answers]")?.scrollIntoView({ block: "start" });
  }
  listen() {
    const keys = {
      ArrowUp: () => this.moveTo(this.cursor[0] - 1, this.cursor[1]), ArrowDown: () => this.moveTo(this.cursor[0] + 1, this.cursor[1]),
      ArrowLeft: () => this.moveTo(this.cursor[0], this.cursor[1] - 1), ArrowRight: () => this.moveTo(this.cursor[0], this.cursor[1] + 1),
      "+": () => this.zoomBy(1.5), "-": () => this.zoomBy(1 / 1.5), 0: () => this.fit(), Enter: () => this.choose(),
    };
    this.canvas.addEventListener("keydown", event => {
      if (!(event.key in keys) || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      keys[event.key]();
      this.draw();
    });
    let grabbed = null, moved = false;
    this.canvas.addEventListener("pointerdown", event => { grabbed = this.placeOf(event); moved = false; });
    this.canvas.addEventListener("pointerup", () => { grabbed = null; });
    this.canvas.addEventListener("pointermove", event => {
      const [x, y] = this.placeOf(event);
      if (grabbed && event.buttons && this.zoom > 1) {
        moved ||= Math.hypot(x - grabbed[0], y - grabbed[1]) * this.cell > 4;
        this.left += grabbed[0] - x;
        this.top += grabbed[1] - y;
        this.clamp();
      } else if (x >= 0 && y >= 0 && x < this.num && y < this.num) this.cursor = [Math.floor(y), Math.floor(x)];
      this.draw();
    });
    this.canvas.addEventListener("click", event => {
      const [x, y] = this.placeOf(event);
      if (moved || x < 0 || y < 0 || x >= this.num || y >= this.num) return;
      this.cursor = [Math.floor(y), Math.floor(x)];
      this.choose();
    });
    // The page scrolls by the wheel alone; with Ctrl, as in maps, it zooms.
    this.canvas.addEventListener("wheel", event => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.zoomBy(event.deltaY < 0 ? 1.25 : 0.8, this.placeOf(event));
      this.draw();
    }, { passive: false });
  }
}
