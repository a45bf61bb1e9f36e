// The predictions of the page, unpacked from typed arrays, and small helpers of all panels.
const one = (selector, root = document) => root.querySelector(selector);
const every = (selector, root = document) => [...root.querySelectorAll(selector)];
const UNKNOWN = 65535;

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in node && name !== "list") node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

function fromBase64(text) {
  const raw = atob(text), bytes = new Uint8Array(raw.length);
  for (let k = 0; k < raw.length; k++) bytes[k] = raw.charCodeAt(k);
  return bytes;
}

// Layout: length of the header (4 bytes), header as JSON, one array of 16-bit numbers per column, ids by line.
async function unpack(text) {
  const stream = new Blob([fromBase64(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
  const buffer = await new Response(stream).arrayBuffer();
  const decoder = new TextDecoder();
  let place = 4 + new DataView(buffer).getUint32(0, true);
  const data = JSON.parse(decoder.decode(new Uint8Array(buffer, 4, place - 4)));
  data.column = {};
  for (const name of data.columns) {
    data.column[name] = new Uint16Array(buffer.slice(place, place + 2 * data.num));
    place += 2 * data.num;
  }
  data.ids = decoder.decode(new Uint8Array(buffer, place)).split("\n");
  Object.assign(data, { truth: data.column.truth, answer: data.column.answer, confidence: data.column.confidence });
  return data;
}

const isRight = (data, row) => data.truth[row] === data.answer[row];
const sureness = (data, row) => data.confidence[row] / 65535;
// A code of truth or answer is a class, or the place of a set of classes in `data.sets`.
const classesOf = (data, code) => (data.sets ? data.sets[code] : [code]);
const className = (data, code) =>
  (code === UNKNOWN ? "unknown" : classesOf(data, code).map(k => data.classes[k]).join(", ") || "none");
const sureName = data => (data.sets ? "score" : "probability");
const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;

// Wilson's 95 % interval of a share.
function wilson(hits, num) {
  const z = 1.959964, share = hits / num, centre = share + z * z / (2 * num), below = 1 + z * z / num;
  const half = z * Math.sqrt(share * (1 - share) / num + z * z / (4 * num * num));
  return [Math.max(0, (centre - half) / below), Math.min(1, (centre + half) / below)];
}

// Where a row's pictures are: in the page's galleries, or in the album below them.
function readAlbum() {
  const album = new Map();
  for (const figure of every("figure[data-row]")) {
    album.set(+figure.dataset.row, every("img", figure).map(image => [image.src, image.alt]));
  }
  const more = one("#album");
  for (const line of more ? more.textContent.trim().split("\n") : []) {
    const [row, ...pictures] = line.split(" ");
    if (row && !album.has(+row)) {
      album.set(+row, pictures.map(text => [`data:image/webp;base64,${text}`, ""]));
    }
  }
  return album;
}

// Rows by rising key, a whole number: key and row in one number each, because numbers sort natively.
function ordered(rows, keyOf) {
  const packed = new Float64Array(rows.length);
  for (let k = 0; k < rows.length; k++) packed[k] = keyOf(rows[k]) * 2 ** 20 + rows[k];
  packed.sort();
  return Uint32Array.from(packed, value => value % 2 ** 20);
}

// What the panels share: the rows that match the filter. Each panel draws itself anew when they change.
class Selection {
  constructor(data) {
    this.data = data;
    this.panels = [];
    this.clear();
  }
  clear() {
    this.truth = this.answer = this.right = -1;
    this.low = 0;
    this.high = 1;
    this.facets = new Map(this.data.facets.map(facet => [facet.name, -1]));
  }
  get isFiltered() {
    return this.truth >= 0 || this.answer >= 0 || this.right >= 0 || this.low > 0 || this.high < 1
      || [...this.facets.values()].some(code => code >= 0);
  }
  follow(panel) {
    this.panels.push(panel);
  }
  // A panel that is costly to draw waits until it is near the window, or goes to paper.
  followNear(node, panel) {
    let isNear = false, isStale = true;
    const draw = () => {
      if (isStale) panel(this);
      isStale = false;
    };
    new IntersectionObserver(([entry]) => {
      isNear = entry.isIntersecting;
      if (isNear) draw();
    }, { rootMargin: "400px" }).observe(node);
    addEventListener("beforeprint", draw);
    this.follow(() => {
      isStale = true;
      if (isNear) draw();
    });
  }
  changed() {
    const { data } = this, low = this.low * 65535 - 1e-6, high = this.high * 65535 + 1e-6;
    const wanted = [...this.facets].filter(([, code]) => code >= 0).map(([name, code]) => [data.column[`facet ${name}`], code]);
    const has = (code, k) => code !== UNKNOWN && (data.sets ? data.sets[code].includes(k) : code === k);
    const rows = new Uint32Array(data.num);
    let num = 0;
    for (let row = 0; row < data.num; row++) {
      if (this.truth >= 0 && !has(data.truth[row], this.truth)) continue;
      if (this.answer >= 0 && !has(data.answer[row], this.answer)) continue;
      if (this.right >= 0 && (data.truth[row] === UNKNOWN || isRight(data, row) !== (this.right === 1))) continue;
      if (data.confidence[row] < low || data.confidence[row] > high) continue;
      if (wanted.some(([codes, code]) => codes[row] !== code)) continue;
      rows[num++] = row;
    }
    this.rows = rows.subarray(0, num);
    this.known = this.rows.filter(row => data.truth[row] !== UNKNOWN);
    this.isChosen = new Uint8Array(data.num);
    for (const row of this.rows) this.isChosen[row] = 1;
    this.surestFirst = ordered(this.known, row => 65535 - data.confidence[row]);
    for (const panel of this.panels) panel(this);
  }
}
