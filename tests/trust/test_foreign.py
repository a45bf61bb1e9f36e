"""Measurement of the outlier score on pictures that do not belong."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from obverse.decisions import GEN_WEIGHT, OneClass, generalised_entropy
from obverse.errors import DataError
from obverse.evaluation import Predictions
from obverse.experiment import evaluate_foreign, start_run
from obverse.recipe import AcceptanceSpec, OutlierSpec, OutputSpec
from obverse.runs import RunFolder
from obverse.trust import foreign_sentence, foreign_verdict, foreign_warnings, measure_foreign, write_foreign

SPEC = OutlierSpec(
    gen_centre=1.0, gen_scale=0.5, distance_centre=0.0, distance_scale=1.0, reject_above=2.0, share_below=0.99,
    num_samples=50,
)  # fmt: skip


def drawn(num, seed, shift=0.0):
    """Probabilities, and scores with a normal distance."""
    generator = np.random.default_rng(seed)
    probabilities_NK = generator.dirichlet((1.0, 1.0, 1.0), num).astype(np.float32)
    gen_N = (generalised_entropy(probabilities_NK) - SPEC.gen_centre) / SPEC.gen_scale
    far_N = generator.normal(shift, 1, num)
    return probabilities_NK, GEN_WEIGHT * gen_N + far_N, far_N


@pytest.fixture
def own():
    probabilities_NK, scores_N, _ = drawn(80, 0)
    return Predictions(
        split="test",
        classes=("a", "b", "c"),
        ids=tuple(f"s{n}" for n in range(80)),
        truth=np.zeros(80, np.int64),
        probabilities_NK=probabilities_NK,
        kind=OneClass(),
        outlier_scores_N=scores_N,
        rule=OutputSpec(acceptance=AcceptanceSpec(wanted_error=0.1, threshold=0.8, num_units=80), outliers=SPEC),
    )


def test_the_area_is_that_of_scikit_learn_for_every_score(own, tmp_path):
    probabilities_NK, scores_N, far_N = drawn(60, 1, shift=2.0)
    values = measure_foreign(own, probabilities_NK, scores_N, data="others")
    is_foreign_N = np.repeat([0, 1], [80, 60])
    both = np.concatenate([own.outlier_scores_N, scores_N])
    assert values["auroc"]["combined"]["value"] == pytest.approx(roc_auc_score(is_foreign_N, both))
    distances = np.concatenate([drawn(80, 0)[2], far_N])
    assert values["auroc"]["distance"]["value"] == pytest.approx(roc_auc_score(is_foreign_N, distances))
    sureness = np.concatenate([own.probabilities_NK.max(1), probabilities_NK.max(1)])
    assert values["auroc"]["maximum_softmax"]["value"] == pytest.approx(roc_auc_score(is_foreign_N, -sureness))
    for estimate in values["auroc"].values():
        assert estimate["low"] < estimate["value"] < estimate["high"]
    assert values["rejected_foreign"]["value"] == pytest.approx((scores_N > 2.0).mean())
    write_foreign(tmp_path, values)
    assert json.loads((tmp_path / "foreign.json").read_text()) == values
    assert foreign_sentence(values) in (tmp_path / "summary.md").read_text().replace("\\", "")


def test_predictions_without_a_score_are_refused(own):
    probabilities_NK, scores_N, _ = drawn(60, 1)
    with pytest.raises(DataError, match="no scores of outliers"):
        measure_foreign(replace(own, outlier_scores_N=None), probabilities_NK, scores_N, data="others")


def test_a_run_whose_val_was_too_small_is_refused_in_a_sentence(trained, tmp_path):
    with pytest.raises(DataError, match="has no score of outliers"):
        evaluate_foreign(trained.path, tmp_path, device="cpu")


@pytest.mark.parametrize(
    ("centre", "num", "words"),
    [(3.0, 60, "apart well:"), (0.0, 60, "apart hardly:"), (-3.0, 60, "the wrong way round:"), (3.0, 6, "apart well:")],
)
def test_the_verdict_is_in_words(own, centre, num, words):
    probabilities_NK, _, _ = drawn(num, 1)
    scores_N = np.random.default_rng(2).normal(np.median(own.outlier_scores_N) + 2 * centre, 1.0, num)
    values = measure_foreign(own, probabilities_NK, scores_N, data="others")
    verdict = foreign_verdict(values)
    assert words in verdict
    assert ("no interval: 6 foreign pictures, 10 are needed" in verdict) == (num == 6)


def test_a_limit_of_few_val_samples_is_the_reason_for_many_rejected(own):
    probabilities_NK, scores_N, _ = drawn(60, 1)
    low = own.rule.changed({"outliers": SPEC.changed({"reject_above": 0.0, "num_samples": 10})})
    values = measure_foreign(replace(own, rule=low), probabilities_NK, scores_N, data="others")
    (warning,) = foreign_warnings(values)
    assert "the limit is the highest score of only 10 val samples" in warning
    high = own.rule.changed({"outliers": SPEC.changed({"reject_above": 99.0})})
    assert not foreign_warnings(measure_foreign(replace(own, rule=high), probabilities_NK, scores_N, data="others"))


@pytest.fixture(scope="module", params=[(), ("obverse", "reverse")], ids=["one view", "two views"])
def scored(request, tmp_path_factory, draw_classes, make_recipe):
    """A run with an outlier score, and its data."""
    folder = tmp_path_factory.mktemp("scored")
    data = draw_classes(folder / "data", per_class=40, size=(16, 16), views=request.param)
    run = RunFolder(folder / "run")
    start_run(data, make_recipe(training={"epochs": 1}, evaluation={"maps": 0}), run)
    return run.path, data


def test_own_and_unreadable_pictures_are_left_out_and_counted(scored, draw_picture, tmp_path):
    run, data = scored
    with pytest.raises(DataError, match=r"all \d+ pictures of .* are the run's own"):
        evaluate_foreign(run, data, device="cpu")
    for number, path in enumerate(sorted(data.rglob("*.png"))[:5]):
        (tmp_path / f"own{number}.png").write_bytes(path.read_bytes())
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"none of the 1 other pictures .* can be read"):
        evaluate_foreign(run, tmp_path, device="cpu")
    for number in range(3):
        draw_picture(tmp_path / f"other{number}.png", seed=1000 + number)
    folder, values = evaluate_foreign(run, tmp_path, device="cpu")
    assert (values["num_foreign"], values["num_own_left_out"], values["num_unreadable"]) == (3, 5, 1)
    first, second, *_ = foreign_warnings(values)
    assert first == "5 pictures are left out, because they are the run's own"
    assert second.startswith("1 picture is left out, because it cannot be read: ")
    assert "broken.png" in second
    summary = (folder / "summary.md").read_text()
    assert summary.count("Pictures that do not belong") == 1
    assert "5 pictures are left out" in summary


def test_folders_of_the_same_name_have_reports_of_their_own(scored, draw_picture, tmp_path):
    run, _ = scored
    folders = set()
    for seed, parent in enumerate(("a", "b")):
        draw_picture(tmp_path / parent / "others" / "0.png", seed=2000 + seed)
        folders.add(evaluate_foreign(run, tmp_path / parent / "others", device="cpu")[0])
    assert len(folders) == 2
