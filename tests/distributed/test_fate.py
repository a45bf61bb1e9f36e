"""What happens to one process happens to all: a wish to stop, a loss that is not finite; and what they tell others."""

import math

import pytest
import torch

from obverse.runs.checkpoint import load_newest

pytestmark = pytest.mark.xdist_group("ranks")


@pytest.fixture(scope="module")
def data(tmp_path_factory, draw_classes):
    return draw_classes(tmp_path_factory.mktemp("data"), per_class=13)


def test_numbers_and_values_reach_everybody_as_they_are(ranks):
    main, other = ranks.talk()
    expected = [(0.1, 1e300, 2.0**53 + 2), (1.1, 1e300, 2.0**53 + 2)]
    assert main["rows"] == other["rows"] == expected
    assert main["totals"] == other["totals"] == (0.1 + 1.1, 6)
    assert main["gather"] == ["rank 0", "rank 1"]
    assert other["gather"] == []
    assert main["from_main"] == other["from_main"] == {"rank": 0}


@pytest.mark.parametrize("rank", [0, 1])
def test_the_wish_of_one_stops_all_at_one_step_with_a_checkpoint(ranks, make_recipe, data, tmp_path, rank):
    answers = ranks.train(data=data, recipe=make_recipe(), folder=tmp_path, stop=(rank, 3))
    assert [answer["error"][:2] for answer in answers] == [("Interrupted", 143)] * 2
    assert [answer["progress"]["step"] for answer in answers] == [3, 3]
    checkpoint, complaints = load_newest(tmp_path)
    assert complaints == []
    assert checkpoint.state["step"] == 3
    assert {"random", "random-1"} < set(checkpoint.tensors)
    assert not torch.equal(checkpoint.tensors["random"]["cpu"], checkpoint.tensors["random-1"]["cpu"])


@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_a_loss_that_is_not_finite_on_one_stops_all_and_names_its_samples(ranks, make_recipe, data, tmp_path, kind):
    recipe = make_recipe(runtime={"distributed": kind})
    healthy = ranks.train(data=data, recipe=recipe, folder=tmp_path, stop=(0, 1))
    answers = ranks.train(data=data, recipe=recipe, folder=tmp_path, poison=1)
    assert [answer["error"][:2] for answer in answers] == [("DivergedError", 66)] * 2
    assert answers[0]["error"] == answers[1]["error"]
    text = answers[0]["error"][2]
    named = text.partition("are ")[2].partition(". Try")[0].split(", ")
    assert len(named) == 2  # of a batch of 4 the half of rank 1
    assert all(math.isfinite(loss) for loss in answers[0]["losses"])
    # No bad update was applied.
    for name in healthy[0]["optimizer"]["state"]:
        assert torch.equal(answers[0]["tensors"]["model"][name], healthy[0]["tensors"]["model"][name])


def test_every_rank_draws_its_own_and_the_first_what_one_process_draws(ranks, alone):
    expected = alone.draws(seed=7)
    main, other = ranks.draws(seed=7)
    assert main == expected
    assert other != main
    assert [main, other] == ranks.draws(seed=7)
    assert ranks.draws(seed=8)[1] != other


def test_what_freezes_or_thaws_is_wrapped_again(ranks, make_recipe, data):
    assert ranks.wrap_again(data=data, recipe=make_recipe()) == [[True, False, False]] * 2
