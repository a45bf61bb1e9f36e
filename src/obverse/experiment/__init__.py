"""Composition: recipe -> objects -> train, evaluate, report."""

from .auto import SMALL_SIDE, Choose, Machine, Resolved, as_written, require_select, resolve
from .auto.tune import measured_samples, step_inputs, training_step, tune
from .evaluate import (
    Augmented,
    Ready,
    evaluate_run,
    load_with_evidence,
    measure_augmentation,
    report_split,
    run_manifest,
    training_dataset,
    training_embeddings,
)
from .example import Example, example_of
from .foreign import evaluate_foreign
from .identity import run_recipe
from .inputs import read_inputs, with_source, write_inputs
from .parent import continued
from .preview import write_preview
from .process import prepare_process
from .setup import Setup, build_model, describe, require_shares, require_trainable, set_up
from .shipping import (
    fitted_output,
    outputs_on_train,
    shipped_logits,
    typical_places,
    with_detector,
    with_outlier_limit,
)
from .story import RunStory, choice_rows, model_words, read_story, training_log_of
from .teacher import with_digest
from .train import MEMORY_ADVICE, Progress, RunResult, follow_run, resume_run, start_run

__all__ = [
    "MEMORY_ADVICE",
    "SMALL_SIDE",
    "Augmented",
    "Choose",
    "Example",
    "Machine",
    "Progress",
    "Ready",
    "Resolved",
    "RunResult",
    "RunStory",
    "Setup",
    "as_written",
    "build_model",
    "choice_rows",
    "continued",
    "describe",
    "evaluate_foreign",
    "evaluate_run",
    "example_of",
    "fitted_output",
    "follow_run",
    "load_with_evidence",
    "measure_augmentation",
    "measured_samples",
    "model_words",
    "outputs_on_train",
    "prepare_process",
    "read_inputs",
    "read_story",
    "report_split",
    "require_select",
    "require_shares",
    "require_trainable",
    "resolve",
    "resume_run",
    "run_manifest",
    "run_recipe",
    "set_up",
    "shipped_logits",
    "start_run",
    "step_inputs",
    "training_dataset",
    "training_embeddings",
    "training_log_of",
    "training_step",
    "tune",
    "typical_places",
    "with_detector",
    "with_digest",
    "with_outlier_limit",
    "with_source",
    "write_inputs",
    "write_preview",
]
