"""Script beside an exported ONNX file: the answers of `obverse predict` with numpy, Pillow and ONNX Runtime alone.

It has at most 25 lines, of which a model gets those that it needs.
"""

from __future__ import annotations

from obverse.bundle import Bundle
from obverse.errors import printable

SCRIPT = "script.py"
# `draft` is given the very size of 1/8, 1/4 or 1/2, so that Pillow decodes the pixels that our own decoder gives.
HEAD = """\
# The answer of {model!r}: python script.py {usage}
import json, pathlib, sys, numpy as np, onnxruntime, PIL.Image as Image, PIL.ImageOps as ImageOps
session = onnxruntime.InferenceSession(str(pathlib.Path(__file__).with_name({model!r})))
facts = {{name: json.loads(of) for name, of in session.get_modelmeta().custom_metadata_map.items() if of[0] in "{{["}}
def pixels(path):  # upright RGB on white; a large JPEG at 1/8, 1/4 or 1/2, as in training
    image = Image.open(path)
    rows, columns = facts["least_decode"][:: -1 if image.getexif().get(274, 1) >= 5 else 1]
    scales = [n for n in (8, 4, 2) if -(-image.height // n) >= rows > 0 and -(-image.width // n) >= columns] or [1]
    image.draft(None, (image.width // scales[0], image.height // scales[0]))
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        layer, image = image.convert("RGBA"), Image.new("RGB", image.size, "white")
        image.paste(layer, mask=layer)
    return np.asarray(image.convert("RGB"))[None]
"""
VIEWS = """\
paths = dict(zip(facts["views"].values(), sys.argv[1:]))
inputs = {view: np.zeros((1, 1, 1, 3), "u1") if path == "-" else pixels(path) for view, path in paths.items()}
"""
PRESENT = """\
inputs["present"] = np.array([[path != "-" for path in paths.values()]])
"""
PARTS = """\
cut = lambda at, of, length: np.arange(length // of) + at * (length - length // of) // max(1, of - 1)
whole, inputs = pixels(sys.argv[1]), {"present": np.ones((1, len(facts["parts"])), bool)}
for view, (row, column, num_rows, num_columns) in zip(facts["views"].values(), map(dict.values, facts["parts"])):
    inputs[view] = whole[:, cut(row, num_rows, whole.shape[1])][:, :, cut(column, num_columns, whole.shape[2])]
"""
COLUMNS = """\
cells = dict(word.split("=", 1) for word in sys.argv[{first}:])
inputs["columns"] = np.array([[c["values"].index(x) + 1 if x in c["values"] else 0 if c["kind"] == "category" else
    (float(x or "nan") - c["mean"]) / c["std"] for c in facts["columns"] for x in [cells.get(c["name"], "")]]], "f4")
"""
TAIL = """\
out = {{each.name: rows[0] for each, rows in zip(session.get_outputs(), session.run(None, inputs))}}
classes = np.array(facts["classes"], "O")
print(json.dumps({{"labels": {labels},{of_set}
    {decision}"probabilities": dict(zip(classes, out["probabilities"].tolist()))}}))
"""
LABEL, LABELS = '[classes[out["answer"]]]', 'classes[out["answer"]].tolist()'
SET, DECISION = ' "set": classes[out["set"]].tolist(),', '"decision": facts["decisions"][out["decision"]], '


def script(model: str, bundle: Bundle) -> str:
    """The text of the script for the ONNX file named `model`, beside which it lies."""
    num_pictures = 1 if bundle.parts else len(bundle.views)
    usage = [name.upper() for name in ("picture",) * num_pictures] if num_pictures == 1 else list(bundle.views)
    if len(usage) > 1:
        usage.append("(one picture each, - for none)")
    usage += [f"[{column.name}=...]" for column in bundle.columns]
    inputs = PARTS if bundle.parts else VIEWS + (PRESENT if len(bundle.views) > 1 else "")
    if bundle.columns:
        inputs += COLUMNS.format(first=1 + num_pictures)
    tail = TAIL.format(
        labels=LABELS if bundle.kind.is_set else LABEL,
        of_set=SET if bundle.output.sets else "",
        decision=DECISION if bundle.output.acceptance else "",
    )
    # Names are the user's: none may end the comment, and any can be encoded.
    words = printable(" ".join(usage))
    return HEAD.format(model=model, usage=words) + inputs + tail
