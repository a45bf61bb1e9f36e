"""A student learns the teacher's probabilities, exactly also where pictures are mixed, and resumes with the same."""

import json
import shutil
import signal

import pytest
import torch

from obverse.bundle import read_bundle
from obverse.data import Batch, mix
from obverse.errors import DataError, Interrupted
from obverse.experiment import resume_run, start_run
from obverse.experiment.teacher import soft_targets, with_digest
from obverse.manifest import build_index
from obverse.recipe import MixingSpec, load_recipe
from obverse.runs import RunFolder, StepEnd
from obverse.studies.ensemble import make_ensemble


@pytest.fixture(scope="module")
def teacher(draw_classes, make_recipe, tmp_path_factory):
    """A run on pictures of another size; tests must not change it."""
    folder = tmp_path_factory.mktemp("teacher")
    data = draw_classes(folder / "data", classes=("dark", "gray", "light"), per_class=10)
    recipe = make_recipe(data={"size": {"height": 24, "width": 24}}, training={"epochs": 1}, evaluation={"maps": 0})
    start_run(data, recipe, RunFolder(folder / "run"))
    return folder


def distilled(make_recipe, teacher, *, share=1.0, **sections):
    sections = {"training": {"epochs": 1}, "evaluation": {"maps": 0}, **sections}
    return make_recipe(distill={"teacher": str(teacher / "run"), "share": share}, **sections)


def test_targets_are_the_teachers_probabilities(teacher, make_recipe):
    import obverse

    recipe = distilled(make_recipe, teacher, share=0.75)
    manifest = build_index(teacher / "data", recipe.data).manifest
    targets = soft_targets(with_digest(recipe), manifest)
    sample = manifest.split("train")[4]
    (prediction,) = obverse.load(teacher / "run").predict(teacher / "data" / sample.views["image"], top_k=3)
    row = targets.targets_NK[targets.place[sample.id]]
    for name, probability in prediction.top:
        k = manifest.class_index[name]
        assert float(row[k]) == pytest.approx(0.75 * probability + 0.25 * (name == sample.label), abs=1e-5)
    torch.testing.assert_close(targets.targets_NK.sum(1), torch.ones(len(targets.place)))


def test_an_ensemble_teaches_the_mean_of_its_members(teacher, make_recipe, tmp_path):
    """Several models become one bundle that is as large as one of them."""
    members = [teacher / "run", tmp_path / "other"]
    size = {"size": {"height": 24, "width": 24}}
    recipe = make_recipe(data=size, training={"epochs": 1, "seed": 5}, evaluation={"maps": 0})
    start_run(teacher / "data", recipe, RunFolder(members[1]))
    make_ensemble(members, tmp_path / "joined", device="cpu")
    manifest = build_index(teacher / "data", recipe.data).manifest
    alone = []
    for path in (*members, tmp_path / "joined"):
        taught = make_recipe(distill={"teacher": str(path), "share": 1.0})
        alone.append(soft_targets(with_digest(taught), manifest).targets_NK)
    torch.testing.assert_close(alone[2], (alone[0] + alone[1]) / 2, atol=1e-5, rtol=0)
    student = RunFolder(tmp_path / "student")
    taught = {"distill": {"teacher": str(tmp_path / "joined"), "share": 1.0}}
    start_run(
        teacher / "data", make_recipe(data=size, training={"epochs": 1}, evaluation={"maps": 0}, **taught), student
    )
    _, model = read_bundle(student.path)
    assert len(model.encoders) == 1
    assert model.num_parameters() == read_bundle(members[1])[1].num_parameters()


def test_mixed_pictures_have_mixed_targets():
    """As the pixels are mixed, so are whatever the targets were."""
    num, ids = 6, tuple(map(str, range(6)))
    targets_BK = torch.rand(num, 3, generator=torch.Generator().manual_seed(0)).softmax(1)
    batch = Batch(
        images_BVCHW=torch.zeros(num, 1, 3, 8, 8, dtype=torch.uint8),
        present_BV=torch.ones(num, 1, dtype=torch.bool),
        labels_B=torch.zeros(num, dtype=torch.long),
        valid_B=torch.ones(num, dtype=torch.bool),
        ids=ids,
        targets_BK=targets_BK,
    )
    mixed = mix(batch, MixingSpec(mixup=1.0), num_classes=3, seed=0, epoch=0)
    own_B1 = mixed.shares_BV5[:, 0, :1]
    partners = targets_BK[[1, 0, 3, 2, 5, 4]]
    torch.testing.assert_close(mixed.targets_BK, own_B1 * targets_BK + (1 - own_B1) * partners)


def test_it_changes_what_is_learned_and_the_recipe_names_the_teacher_for_good(teacher, make_recipe, tmp_path):
    plain, taught = RunFolder(tmp_path / "plain"), RunFolder(tmp_path / "taught")
    start_run(teacher / "data", make_recipe(training={"epochs": 1}, evaluation={"maps": 0}), plain)
    start_run(teacher / "data", distilled(make_recipe, teacher), taught)
    weights = [(run.bundle / "model.safetensors").read_bytes() for run in (plain, taught)]
    assert weights[0] != weights[1]
    saved = load_recipe(str(taught.recipe))
    told = json.loads((teacher / "run/bundle/model.json").read_text())
    assert saved.distill.digest == told["weights_sha256"]
    assert "teacher" in json.loads((taught.path / "training_log.json").read_text())["facts"]
    again = RunFolder(tmp_path / "again")
    start_run(teacher / "data", saved, again)
    assert (again.bundle / "model.safetensors").read_bytes() == weights[1]


class StopAtStep:
    def notify(self, event):
        if isinstance(event, StepEnd) and event.step == 3:
            signal.raise_signal(signal.SIGTERM)

    def close(self):
        pass


def test_resume_has_the_same_teacher_or_none(teacher, make_recipe, tmp_path):
    recipe = distilled(make_recipe, teacher, share=0.5, mixing={"mixup": 0.8, "cutmix": 1.0})
    whole, stopped = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "stopped")
    start_run(teacher / "data", recipe, whole)
    with pytest.raises(Interrupted):
        start_run(teacher / "data", recipe, stopped, observers=[StopAtStep()])
    shutil.copytree(stopped.path, tmp_path / "other")
    resume_run(stopped)
    assert (stopped.bundle / "model.safetensors").read_bytes() == (whole.bundle / "model.safetensors").read_bytes()
    other = RunFolder(tmp_path / "other")
    text = other.recipe.read_text()
    other.recipe.write_text(text.replace(str(teacher / "run"), str(whole.path)))
    with pytest.raises(DataError, match="not the model that the run began with"):
        resume_run(other)


def test_a_teacher_of_other_classes_is_refused(trained, teacher, make_recipe, tmp_path):
    recipe = make_recipe(distill={"teacher": str(trained.path)})
    with pytest.raises(DataError, match="other classes"):
        start_run(teacher / "data", recipe, RunFolder(tmp_path / "run"))
    assert list(tmp_path.iterdir()) == []
