"""Out of memory in a step: the same samples, the same dropout, the same result, with a smaller micro-batch."""

import pytest
import torch

from obverse.errors import DivergedError, Interrupted, OutOfMemoryError
from obverse.experiment import start_run
from obverse.runs import Message, RunFolder
from obverse.runs.checkpoint import load_newest
from obverse.training import MicroBatches

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")
FAULTS = {
    "cuda": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    "cpu": lambda: RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried 99 bytes"),
    "python": lambda: MemoryError("Unable to allocate 3 GiB"),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory, draw_classes):
    return draw_classes(tmp_path_factory.mktemp("data"), per_class=14)


@pytest.fixture
def train(data, make_recipe, make_trainer, tmp_path):
    """A trainer with dropout, batch norm and a weight average whose memory holds `limit` samples at a time."""

    def make(micro, *, limit=None, fault="cuda", folder="a", stop=None):
        recipe = make_recipe(
            model={"head": {"hidden": [6], "dropout": 0.4}},
            training={"epochs": 2, "batch_size": 8, "micro_batch_size": micro, "ema_decay": 0.8, "select": "loss"},
        )
        trainer = make_trainer(
            data, recipe, tmp_path / folder, wanted_signal=lambda: 15 if trainer.progress.step == stop else None
        )

        def allocate(module, inputs):
            # After the batch norms have counted the batch and the dropout has drawn.
            if limit and module.training and len(inputs[0]) > limit:
                raise FAULTS[fault]()

        trainer.model.head[-1].register_forward_pre_hook(allocate)
        return trainer

    return make


def state_of(trainer):
    values = {f"model.{k}": v for k, v in trainer.model.state_dict().items()}
    values |= {f"average.{k}": v for k, v in trainer.average.model.state_dict().items()}
    return values | {"random": torch.get_rng_state()}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_result_is_that_of_the_smaller_micro_batch(train, fault):
    small = train(2)
    list(small.run())
    expected = state_of(small)
    recovered = train(8, limit=3, fault=fault, folder="b")
    events = list(recovered.run())
    torch.testing.assert_close(state_of(recovered), expected, atol=0, rtol=0)
    torch.testing.assert_close(recovered.best_weights, small.best_weights, atol=0, rtol=0)
    said = [event.text for event in events if isinstance(event, Message) and "memory" in event.text]
    assert [line.partition(",")[0] for line in said] == [
        "out of memory with 8 samples at a time: from now on 4",
        "out of memory with 4 samples at a time: from now on 2",
    ]


def test_a_resumed_run_keeps_the_smaller_micro_batch(train):
    whole = train(8, limit=3)
    list(whole.run())
    expected = state_of(whole)
    with pytest.raises(Interrupted):
        list(train(8, limit=3, folder="b", stop=2).run())
    again = train(8, folder="b")
    again.restore(load_newest(again.checkpoints)[0])
    assert again.micro_batches.size == 2
    list(again.run())
    torch.testing.assert_close(state_of(again), expected, atol=0, rtol=0)


def test_one_sample_too_much_ends_the_run_with_advice(train):
    trainer = train(4, limit=0.5)
    start = state_of(trainer)
    with pytest.raises(
        OutOfMemoryError, match=r"even one sample at a time is too much .*`obverse plan` says"
    ) as caught:
        list(trainer.run())
    assert caught.value.exit_code == 71
    assert all(torch.equal(v, start[k]) for k, v in state_of(trainer).items() if k.startswith("model.head"))


def test_among_other_processes_nothing_is_tried_again():
    def gradients(size):
        raise FAULTS["cuda"]()

    with pytest.raises(OutOfMemoryError, match="8 samples at a time are too many"):
        MicroBatches(8, can_shrink=False).attempt(torch.nn.Linear(1, 1), 8, gradients)


@pytest.mark.parametrize("error", [DivergedError("the loss is nan"), RuntimeError("shape mismatch")])
def test_other_faults_are_not_taken_for_a_lack_of_memory(error):
    def gradients(size):
        raise error

    micro_batches = MicroBatches(8)
    with pytest.raises(type(error), match=str(error)):
        micro_batches.attempt(torch.nn.Linear(1, 1), 8, gradients)
    assert micro_batches.size == 8


def test_the_last_batch_is_halved_from_its_own_size():
    sizes = []

    def gradients(size):
        sizes.append(size)
        if size > 2:
            raise FAULTS["cpu"]()

    MicroBatches(64).attempt(torch.nn.Linear(1, 1), 5, gradients)
    assert sizes == [64, 3, 2]


def test_the_size_that_fitted_is_recorded(data, make_recipe, monkeypatch, tmp_path):
    normal = torch.nn.Linear.forward

    def forward(layer, x):
        if layer.training and len(x) > 2:
            raise FAULTS["cuda"]()
        return normal(layer, x)

    monkeypatch.setattr(torch.nn.Linear, "forward", forward)
    run = RunFolder(tmp_path / "run")
    start_run(data, make_recipe(training={"epochs": 1, "batch_size": 8, "micro_batch_size": 8}), run)
    assert '"micro-batches": "of 2 samples"' in (run.path / "training_log.json").read_text()
