"""The event file is what TensorBoard reads, and stays the run's own when the folder moves."""

import json

from PIL import Image

from obverse.runs import EpochEnd, Message, RunFinished
from obverse.runs.observers.tensorboard import TensorBoardObserver


def epoch(number):
    return EpochEnd(
        epoch=number, step=10 * number, train_loss=0.5, train_accuracy=0.25, val_loss=1.5, val_accuracy=0.75,
        select="accuracy", select_value=0.75, is_best=True, learning_rate=0.125, pictures_per_second=100.0,
        data_wait=0.0, seconds=1.0,
    )  # fmt: skip


def curves(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return {tag: [(point.step, point.value) for point in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_the_curves_are_read_back(tmp_path):
    observer = TensorBoardObserver(tmp_path)
    for event in (epoch(1), Message("no curve"), epoch(2)):
        observer.notify(event)
    observer.close()
    found = curves(tmp_path)
    assert found["loss/val"] == [(10, 1.5), (20, 1.5)]
    assert found["accuracy/train"] == [(10, 0.25), (20, 0.25)]
    assert set(found) == {"loss/train", "loss/val", "accuracy/train", "accuracy/val", "learning_rate",
                          "pictures_per_second"}  # fmt: skip


def test_in_a_folder_that_moved_it_writes_into_its_own_file(tmp_path):
    (tmp_path / "run").mkdir()
    observer = TensorBoardObserver(tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "moved")
    (tmp_path / "run").mkdir()
    observer.notify(epoch(1))
    observer.close()
    assert list((tmp_path / "run").iterdir()) == []
    assert curves(tmp_path / "moved")["loss/val"] == [(10, 1.5)]


def test_settings_metrics_and_the_confusion_matrix(tmp_path):
    """What the tabs HPARAMS, SCALARS and IMAGES show."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    png = tmp_path / "confusion.png"
    Image.new("RGBA", (30, 20)).save(png)
    observer = TensorBoardObserver(tmp_path, {"optim.lr": 0.1, "optim.betas": [0.9, 0.99], "name": "auto", "ema": None})
    observer.notify(RunFinished(40, "test", {"accuracy": 0.75}, "r", "r", "b", str(png)))
    observer.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(point.step, point.value) for point in events.Scalars("test/accuracy")] == [(40, 0.75)]
    (image,) = events.Images("test/confusion")
    assert (image.width, image.height, image.encoded_image_string) == (30, 20, png.read_bytes())
    data = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    start = HParamsPluginData.FromString(data).session_start_info
    assert start.group_name == "/".join(tmp_path.parts[-2:])
    assert start.hparams["optim.lr"].number_value == 0.1
    assert json.loads(start.hparams["optim.betas"].string_value) == [0.9, 0.99]
    assert start.hparams["ema"].string_value == "null"
    assert "_hparams_/session_end_info" in events.summary_metadata
