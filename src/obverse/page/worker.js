// The model in a worker: picture files in, rows of answers out.
import * as ort from "./ort.wasm.bundle.min.mjs";

const BAND_PIXELS = 2 ** 22; // phones limit the size of a canvas
const TOP = 5;
const MOST_NAMES = 8;
const CHANGED = "this browser changes the pixels that pages read, as a protection against fingerprinting, so that answers "
  + "would be wrong; allow this page to read them, or use another browser";
ort.env.wasm.numThreads = 1; // more need headers that plain servers do not send
ort.env.wasm.wasmPaths = { wasm: new URL("ort-wasm-simd-threaded.wasm", import.meta.url).href };

class Problem extends Error {}

const loading = load();
loading.catch(() => {}); // every sample says it
let last = loading;

async function load() {
  try {
    const root = new URL("..", import.meta.url);
    const description = await (await fetch(new URL("model.json", root))).json();
    const session = await ort.InferenceSession.create(new URL("model.onnx", root).href, { executionProviders: ["wasm"] });
    if (changesPixels()) throw new Problem(CHANGED);
    return { ...description, session };
  } catch (problem) {
    throw problem instanceof Problem ? problem : new Problem(`the model cannot be loaded (${problem.message})`);
  }
}

function changesPixels() {
  const context = new OffscreenCanvas(16, 16).getContext("2d", { willReadFrequently: true });
  const image = context.createImageData(16, 16);
  for (let place = 0; place < image.data.length; place++) image.data[place] = place % 4 === 3 ? 255 : (place * 37) % 256;
  context.putImageData(image, 0, 0);
  return context.getImageData(0, 0, 16, 16).data.some((value, place) => value !== image.data[place]);
}

// Upright pixels on white in full size: {height, width, data}, three bytes each.
async function pixelsOf(file, view) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    throw new Problem(`${view}: not a picture that this browser can read`);
  }
  const { width, height } = bitmap, numRows = Math.min(height, Math.max(1, Math.floor(BAND_PIXELS / width)));
  const context = new OffscreenCanvas(width, numRows).getContext("2d", { willReadFrequently: true });
  const data = new Uint8Array(3 * width * height);
  context.fillStyle = "#fff";
  for (let top = 0, to = 0; top < height; top += numRows) {
    context.fillRect(0, 0, width, numRows);
    context.drawImage(bitmap, 0, -top);
    const band = context.getImageData(0, 0, width, Math.min(numRows, height - top)).data;
    for (let from = 0; from < band.length; from += 4, to += 3) {
      data[to] = band[from];
      data[to + 1] = band[from + 1];
      data[to + 2] = band[from + 2];
    }
  }
  bitmap.close();
  return { height, width, data };
}

const asTensor = ({ height, width, data }) => new ort.Tensor("uint8", data, [1, height, width, 3]);

// The cell of a grid, as the model was trained with: equal sizes, the last one ends with the picture.
function cut({ height, width, data }, { row, column, rows, columns }) {
  const part = { height: Math.floor(height / rows), width: Math.floor(width / columns) };
  if (!part.height || !part.width) throw new Problem(`a picture of ${width}x${height} pixels has no ${rows}x${columns} parts`);
  const start = (place, count, length, size) => (count > 1 ? Math.floor((place * (length - size)) / (count - 1)) : 0);
  const top = start(row, rows, height, part.height), left = start(column, columns, width, part.width);
  part.data = new Uint8Array(3 * part.width * part.height);
  for (let line = 0; line < part.height; line++) {
    const from = 3 * ((top + line) * width + left);
    part.data.set(data.subarray(from, from + 3 * part.width), 3 * line * part.width);
  }
  return part;
}

async function inputsOf({ graph: { inputs, parts, columns } }, sample) {
  const feeds = {}, present = [];
  const whole = parts.length ? await pixelsOf([...sample.views.values()][0], "image") : null;
  for (const [place, [view, name]] of inputs.entries()) {
    const file = sample.views.get(view);
    const missing = { height: 1, width: 1, data: new Uint8Array(3) };
    feeds[name] = asTensor(whole ? cut(whole, parts[place]) : file ? await pixelsOf(file, view) : missing);
    present.push(whole || file ? 1 : 0);
  }
  if (inputs.length > 1) feeds.present = new ort.Tensor("bool", Uint8Array.from(present), [1, present.length]);
  if (columns.length) {
    const codes = columns.map(column => code(column, sample.columns.get(column.name) || ""));
    feeds.columns = new ort.Tensor("float32", Float32Array.from(codes), [1, codes.length]);
  }
  return feeds;
}

// A cell of an extra column as the model sees it; an unknown category is 0, a missing number NaN.
function code({ name, kind, values, mean, std }, cell) {
  if (kind === "category") return values.indexOf(cell) + 1;
  if (cell && !Number.isFinite(Number(cell))) throw new Problem(`${name}: ${cell} is not a number`);
  return cell ? (Number(cell) - mean) / std : NaN;
}

// The set in words, as in Python: none may be longer than a line.
function setWords({ classes, is_ordered: isOrdered, is_label_set: isLabelSet }, names) {
  if (names.length === classes.length) return "any";
  if (isOrdered && names.length > 1) return `${names[0]} to ${names.at(-1)}`;
  const some = names.length <= MOST_NAMES ? [...names] : [...names.slice(0, MOST_NAMES - 1), `${names.length - MOST_NAMES + 1} more`];
  const last = some.pop() ?? "none";
  return some.length ? `${some.join(", ")}${isLabelSet ? " and " : " or "}${last}` : last;
}

// What the rules of the model give, as far as it has them.
function ruled(model, { set, decision }) {
  const row = {};
  if (set) {
    row.set = model.classes.filter((_, place) => Number(set.data[place]));
    Object.assign(row, { set_level: model.set_level, set_words: setWords(model, row.set) });
  }
  if (decision) row.decision = model.decisions[Number(decision.data[0])];
  return row;
}

function rowOf(model, outputs) {
  const { classes, is_label_set: isLabelSet } = model;
  const shares = classes.map((label, place) => ({ label, probability: outputs.probabilities.data[place] }));
  const row = { confidence: outputs.confidence.data[0], by_view: {}, ...ruled(model, outputs) };
  const answer = outputs.answer.data;
  if (!isLabelSet) {
    const { label, probability } = shares[Number(answer[0])];
    return { ...row, label, probability, top: shares.sort((a, b) => b.probability - a.probability).slice(0, TOP) };
  }
  const probabilities = Object.fromEntries(shares.map(({ label, probability }) => [label, probability]));
  return { ...row, labels: shares.filter((_, place) => Number(answer[place])), probabilities };
}

async function answered(sample) {
  try {
    const model = await loading;
    return rowOf(model, await model.session.run(await inputsOf(model, sample)));
  } catch (problem) {
    return { error: problem instanceof Problem ? problem.message : `the model cannot answer (${problem.message})` };
  }
}

// One after the other: a session runs one sample at a time, and pictures take much memory.
onmessage = ({ data: { number, ...sample } }) => {
  last = last.catch(() => {}).then(() => answered(sample)).then(row => postMessage({ number, row }));
};
