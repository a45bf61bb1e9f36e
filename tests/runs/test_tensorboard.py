"""The event file is what TensorBoard reads, and stays the run's own when the folder moves."""

from obverse.runs import EpochEnd, Message
from obverse.runs.observers import TensorBoardObserver


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
