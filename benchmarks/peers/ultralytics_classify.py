"""ultralytics' classification trainer with YOLO11n-cls from scratch, as its documentation calls it, by its time budget.

PYTHON ultralytics_classify.py FOLDER OUT.json --minutes 3 --seed 0 --size 224
"""

from __future__ import annotations

import tempfile

from common_peer import arguments, write_predictions
from ultralytics import YOLO


def main() -> None:
    options = arguments()
    side = max(32, 32 * round(options.size / 32))
    with tempfile.TemporaryDirectory() as scratch:
        model = YOLO("yolo11n-cls.yaml")
        model.train(
            data=str(options.folder), imgsz=side, time=options.minutes / 60, device="cpu", seed=options.seed,
            workers=2, plots=False, verbose=False, project=scratch, name="run",
        )  # fmt: skip
        model = YOLO(f"{scratch}/run/weights/best.pt")
    paths = sorted((options.folder / "test").rglob("*.*"))
    results = model.predict([str(path) for path in paths], imgsz=side, verbose=False, device="cpu")
    write_predictions(options, paths, [result.names[result.probs.top1] for result in results])


if __name__ == "__main__":
    main()
