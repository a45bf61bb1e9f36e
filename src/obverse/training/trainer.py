"""Trainer: the training loop, which yields events and is independent of loggers, models and result files.

State lives in `Progress`, the model, the optimizer, the weight average and torch's generators; `checkpoint` and
`restore` are exact copies of all five, so a resumed run goes on as if it had never stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import torch

from obverse.data import Batch
from obverse.engines import Outputs, TorchEngine, evaluating, run_engine
from obverse.errors import DataError, Interrupted
from obverse.losses import Objective
from obverse.models import Classifier, compile_model, set_trainable
from obverse.recipe import ResolvedRecipe
from obverse.runs import CheckpointSaved, EpochEnd, Event, Message, StepEnd, is_lack_of_memory
from obverse.runs.checkpoint import Checkpoint, save_checkpoint
from obverse.runtime import ALONE, Process, restore_torch_random_state, torch_random_state

from .ema import FreshStatistics, WeightAverage
from .head_first import HeadFirst, frozen_features
from .loaders import Loaders
from .meter import Meter
from .micro_batches import MicroBatches
from .optim import build_optimizer
from .pace import Pace, Repeat, should_stop
from .parallel import Parallel, shard
from .progress import Progress
from .signals import awaited
from .step import StepResult, Update, explained_at, train_step
from .validation import is_best, is_early, require_numbers, val_values, warm_up_note, without_number

# Least time between two checkpoints.
CHECKPOINT_SECONDS = 60.0
# Saving takes at most 1 / CHECKPOINT_SHARE of the time: slow checkpoints are written less often.
CHECKPOINT_SHARE = 20


class Trainer:
    """Trainer of the engine's model by a recipe.

    process: this rank of the processes that train together.
    wanted_signal: returns the number of a signal that asked to stop, or None.
    """

    def __init__(
        self,
        engine: TorchEngine,
        recipe: ResolvedRecipe,
        loaders: Loaders,
        *,
        objective: Objective,
        checkpoints: Path,
        process: Process = ALONE,
        wanted_signal: Callable[[], int | None] = lambda: None,
    ) -> None:
        self.model, self.forward = engine.model, engine.forward
        self.recipe, self.loaders, self.process = recipe, loaders, process
        self.objective = objective
        self.checkpoints, self.wanted_signal = checkpoints, wanted_signal
        set_trainable(self.model, recipe.finetune)
        decay = recipe.training.ema_decay
        self.average = WeightAverage(self.model, decay) if decay else None
        self._engine = replace(engine, model=self.shipped_model)
        # Before the model is sharded: the head is fitted on the main process alone.
        self._head_first = HeadFirst.of(self.model, loaders.plain, recipe)
        self.parallel = Parallel(self.model, self.process, recipe.runtime.distributed)
        if self.average and self.parallel.is_sharded:
            shard(self.average.model)  # type: ignore[arg-type]
        is_fresh = recipe.parent is None and recipe.model.backbone.is_scratch
        self._statistics = FreshStatistics(self.model.modules() if is_fresh else ())
        if recipe.runtime.compile:
            compile_model(self.model)
        self.optimizer = build_optimizer(
            recipe.optim,
            self.model,
            layer_decay=recipe.finetune.layer_decay,
            fused=not self.parallel.is_sharded,
        )
        scaler = torch.amp.GradScaler(self.forward.device.type) if recipe.runtime.precision == "fp16" else None
        self.update = Update(self.optimizer, recipe.optim.clip_norm, scaler)
        self.micro_batches = MicroBatches(recipe.training.micro_batch_size, can_shrink=self.process.is_alone)
        self.progress = Progress()
        self.best_weights: dict[str, torch.Tensor] = {}
        # Called before a checkpoint is written; raises when the run folder was moved or replaced.
        self.before_save: Callable[[], None] = lambda: None
        self._saved_at, self._save_seconds = time.monotonic(), 0.0
        self.repeat: Repeat | None = None
        self._pace, self._meter = Pace(recipe, len(loaders.train)), Meter()

    def follow(self, repeat: Repeat) -> None:
        """Before `run`: train without val, for as long as `repeat` says; the last weights are then the best ones."""
        self.repeat, self._pace = repeat, replace(self._pace, repeat=repeat)

    @property
    def shipped_model(self) -> Classifier:
        """The model that is evaluated and shipped: the weight average, if there is one."""
        return self.average.model if self.average else self.model  # type: ignore[return-value]

    @property
    def num_trained(self) -> int:
        """Number of parameters that are trained at some time of the run."""
        return sum(parameter.numel() for group in self.optimizer.param_groups for parameter in group["params"])

    def run(self) -> Iterator[Event]:
        """Events of the whole training. Raises DivergedError, and Interrupted after saving on a signal."""
        with closing(self.loaders):
            is_first = self.repeat is None or self.repeat.head_strength is not None
            if self._head_first and is_first and not self.progress.step:
                yield from self._start_from_the_head()
            # Fitting the head may use up all minutes, so at least one step is taken. An epoch that a signal stopped
            # after the last minute still has to be validated.
            pace, progress = self._pace, self.progress
            while pace.needs_a_step(progress) or progress.batch or not pace.is_over(progress):
                yield from self._train_epoch()
                yield from self._finish_epoch() if self.repeat is None else self._finish_repeated_epoch()
                if self.process.from_main(self._wants_checkpoint) or self._pace.is_over(self.progress):
                    yield self._save()
            if self.repeat is not None:
                self.best_weights = self.parallel.shipped(self.shipped_model)

    def _start_from_the_head(self) -> Iterator[Event]:
        """Events of fitting the head and of validating it as epoch 0, each left out where a resumed run has done it."""
        if not self.progress.head_seconds:
            yield from self._fit_head()
            if self._pace.is_over(self.progress):  # nothing else saves the fit
                yield self._save()
        if self.repeat is None and self.progress.head_strength is not None and not self.progress.history:
            yield self._validated(epoch=0)
            self.progress.head_seconds = self.progress.seconds
            yield Message("epoch 0 is the frozen features with the fitted head; it ships if no epoch is better on val")

    def _fit_head(self) -> Iterator[Event]:
        start, first, progress = time.perf_counter(), self._head_first, self.progress
        assert first is not None
        yield Message(f"head first: {len(first.plain.dataset):,} samples once through the frozen backbone")
        batches = self._unless_asked_to_stop(first.plain.epoch())
        if self.loaders.teach is not None:
            batches = map(self.loaders.teach, batches)
        known = frozen_features(self.model, self.forward, batches, self.objective)
        weights, objective = self.parallel.weights(), self.objective.at(0.0)
        strength = first.strength if self.repeat is None else self.repeat.head_strength
        fit = self.process.from_main(
            lambda: first.fit(known, weights, objective=objective, hits=self.forward.hits, strength=strength)
        )
        self.parallel.load(weights)
        if self.average:
            self.parallel.load(weights, self.average.model)
        progress.head_strength = fit.strength
        progress.head_seconds = self.process.from_main(lambda: time.perf_counter() - start)
        progress.seconds += progress.head_seconds
        if self.repeat is None and fit.strength is not None:  # else no validation takes these sums for epoch 0
            progress.loss_sum, progress.weight = fit.loss_sum, fit.weight
            progress.num_correct, progress.num_samples = fit.num_correct, len(known)
        yield Message(fit.summary)

    def _wants_checkpoint(self) -> bool:
        """Whether a checkpoint is due by this process's clock; the main process decides."""
        return time.monotonic() - self._saved_at > max(CHECKPOINT_SECONDS, CHECKPOINT_SHARE * self._save_seconds)

    def _train_epoch(self) -> Iterator[Event]:
        set_trainable(self.model, self.recipe.finetune, epoch=self.progress.epoch)
        self.model.train()
        progress, meter = self.progress, Meter()
        # Closing ends the prefetching thread, however the epoch ends.
        with closing(self.loaders.train.epoch(progress.epoch, progress.batch)) as batches:
            yield from self._steps(meter, batches)
        self._meter = meter

    def _steps(self, meter: Meter, batches: Iterator[Batch]) -> Iterator[Event]:
        progress = self.progress
        for batch in meter.waits(self._awaited(batches)):
            rate = self._pace.rate(progress)
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group["lr_scale"]
            result = self._step(batch)
            progress.step += 1
            progress.batch += 1
            progress.loss_sum += result.loss_sum
            progress.weight += result.weight
            progress.num_correct += result.num_correct
            progress.num_samples += result.num_samples
            progress.seconds += meter.lap(pictures=result.num_pictures)
            yield self._step_event(result, rate, meter)
            yield from map(Message, self.micro_batches.news())
            if self._stop_if_asked():
                yield self._save()
                meter.skip()  # saving does not count as training time
            if self.recipe.training.minutes is not None and self._pace.is_over(self.progress):
                return
        self._stop_if_asked()

    def _awaited(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Batches, as `awaited` gives them; several ranks end together, after a step."""
        return awaited(batches, self.wanted_signal, self._save) if self.process.is_alone else batches

    def _step(self, batch: Batch) -> StepResult:
        num_classes, epoch = self.objective.num_classes, self.progress.epoch
        batch = self.loaders.with_targets(batch, self.recipe, num_classes=num_classes, epoch=epoch)
        with explained_at(self.progress.step), self._statistics.step():
            result = train_step(
                self.parallel,
                self.update,
                self.forward,
                batch,
                micro_batches=self.micro_batches,
                objective=self.objective.at(self._pace.fraction_done(self.progress)),
            )
        if self.average:
            self.average.update(self.model)
        return result

    def _step_event(self, result: StepResult, rate: float, meter: Meter) -> StepEnd:
        progress = self.progress
        return StepEnd(
            step=progress.step,
            epoch=progress.epoch + 1,
            batch=progress.batch,
            num_batches=len(self.loaders.train),
            loss=result.loss_sum / result.weight,
            learning_rate=rate,
            epoch_loss=progress.loss_sum / progress.weight,
            epoch_accuracy=progress.num_correct / progress.num_samples,
            pictures=meter.pictures,
            seconds=meter.seconds,
            data_seconds=meter.data_seconds,
            fraction_done=self._pace.fraction_done(self.progress),
            run_seconds=self._pace.seconds(progress),
        )

    def _finish_epoch(self) -> Iterator[Event]:
        """Events of validation, selection of the best weights and early stopping."""
        progress, recipe = self.progress, self.recipe
        was_early = progress.best_is_early
        event = self._validated(epoch=progress.epoch + 1)
        progress.epoch += 1
        yield event
        if was_early and not progress.best_is_early:
            yield Message(warm_up_note(len(self.loaders.val.dataset)))
        # The first epoch with the best value counts for patience, whichever of equal epochs ships.
        equal = (row["epoch"] - 1 for row in progress.history if row["select_value"] == progress.best_value)
        first_best = next(equal, progress.best_epoch)
        if should_stop(
            recipe.training.early_stopping,
            epoch=progress.epoch - 1,
            best_epoch=first_best,
            warmup_epochs=recipe.schedule.warmup_epochs,
            num_epochs=progress.epoch / self._pace.fraction_done(progress),
        ):
            progress.stop_reason = f"no better {recipe.training.select} since epoch {first_best + 1}"
            yield Message(f"stopped early: {progress.stop_reason}")

    def _finish_repeated_epoch(self) -> Iterator[Event]:
        progress = self.progress
        progress.epoch += 1
        loss, accuracy = progress.loss_sum / progress.weight, progress.num_correct / progress.num_samples
        row = {"epoch": progress.epoch, "step": progress.step, "train_loss": loss, "train_accuracy": accuracy}
        progress.history.append(row | {"seconds": progress.seconds})
        progress.reset_epoch_sums()
        yield Message(f"refit on train and val: epoch {progress.epoch}, loss {loss:.3f}, accuracy {accuracy:.1%}")

    def _validated(self, *, epoch: int) -> EpochEnd:
        """The event of an epoch (counted from 1; 0 is the start), after validating it and keeping the best weights."""
        progress, select, meter = self.progress, self.recipe.training.select, self._meter
        start = time.perf_counter()
        outputs = self._validate()
        progress.seconds += time.perf_counter() - start
        require_numbers(self.process.from_main(lambda: without_number(outputs, self.objective)), progress.step)
        progress.seconds, value, val_loss, val_accuracy = self.process.from_main(
            lambda: (progress.seconds, *val_values(outputs, self.objective, select))
        )
        best = self._is_best(value, val_loss)
        if best:
            progress.best_value, progress.best_epoch, progress.best_step = value, epoch - 1, progress.step
            progress.best_is_early = self._is_early()
            self.best_weights = self.parallel.shipped(self.shipped_model)
        event = EpochEnd(
            epoch=epoch,
            step=progress.step,
            train_loss=progress.loss_sum / progress.weight,
            train_accuracy=progress.num_correct / progress.num_samples,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            select=select,
            select_value=value,
            is_best=best,
            learning_rate=float(self.optimizer.param_groups[0]["lr"]) if epoch else 0.0,
            pictures_per_second=meter.pictures / meter.seconds if meter.seconds else 0.0,
            data_wait=meter.data_seconds / meter.seconds if meter.seconds else 0.0,
            seconds=progress.seconds,
        )
        progress.history.append(asdict(event))
        progress.reset_epoch_sums()
        return event

    def _validate(self) -> Outputs:
        """Outputs of the shipped model on val. Evaluation mode is set once for the whole pass."""
        batches = self._unless_asked_to_stop(self.loaders.val.epoch())
        with evaluating(self.shipped_model):
            return run_engine(self._engine, batches, embeddings=False, process=self.process)

    def _is_best(self, value: float, val_loss: float) -> bool:
        return is_best(self.progress, self.recipe.training.select, value, val_loss, is_early=self._is_early())

    def _is_early(self) -> bool:
        return is_early(self.progress, len(self.loaders.val.dataset), self.recipe.schedule.warmup_epochs)

    def _unless_asked_to_stop(self, batches: Generator[Batch]) -> Iterator[Batch]:
        """Validation batches until a signal asks to stop; a resumed run validates the epoch from its start."""
        with closing(batches):
            for batch in self._awaited(batches):
                self._stop_if_asked()
                yield batch
            self._stop_if_asked()

    def _stop_if_asked(self) -> bool:
        """Whether a checkpoint is due by the main process's clock. Interrupted on all ranks when one got a signal."""
        rows = self.process.rows([self.progress.seconds, self.wanted_signal() or 0, self._wants_checkpoint()])
        self.progress.seconds, _, is_due = rows[0]
        signal_number = int(max(wish for _, wish, _ in rows))
        if signal_number:
            self._save()
            raise Interrupted("stopped by a signal; everything is saved, go on with --resume", signal_number)
        return bool(is_due)

    def _save(self) -> CheckpointSaved:
        start, checkpoint = time.monotonic(), self.checkpoint()

        def write() -> str:
            self.before_save()
            return save_checkpoint(self.checkpoints, self.progress.step, checkpoint).name

        name = self.process.from_main(write)
        self._saved_at = time.monotonic()
        self._save_seconds = self._saved_at - start
        return CheckpointSaved(self.progress.step, name)

    def checkpoint(self) -> Checkpoint:
        """The complete state for resuming, on the main process, for any kind of parallelism."""
        tensors = {"model": self.parallel.weights()}
        for rank, state in enumerate(self.process.gather(torch_random_state())):
            tensors[_random_name(rank)] = state
        if self.average:
            tensors["average"] = self.parallel.weights(self.average.model)
            self.progress.num_ema_updates = self.average.num_updates
        self.progress.micro_batch_size = self.micro_batches.size
        self.progress.loss_scale = self.update.scaler.state_dict() if self.update.scaler else None
        if self.best_weights:
            tensors["best"] = self.best_weights
        return Checkpoint(tensors, self.parallel.optimizer_state(self.optimizer), self.progress.to_json())

    def restore(self, checkpoint: Checkpoint | None) -> list[str]:
        """Messages about an inexact resume, after loading the main process's `checkpoint` (None on other ranks).

        Random states can be restored only with the same number of ranks.
        """
        tensors = checkpoint.tensors if checkpoint else {}
        states = [tensors[_random_name(rank)] for rank in range(len(tensors)) if _random_name(rank) in tensors]
        progress, states = self.process.from_main(lambda: (checkpoint.state if checkpoint else {}, states))
        self.progress = Progress.from_json(progress)
        try:
            self.parallel.load(tensors.get("model", {}))
            self.parallel.load_optimizer(self.optimizer, checkpoint.optimizer if checkpoint else {})
            if self.average:
                self.parallel.load(tensors.get("average", {}), self.average.model)
                self.average.num_updates = self.progress.num_ema_updates
        except (RuntimeError, ValueError, KeyError) as error:
            if is_lack_of_memory(error):
                raise
            text = " ".join(str(error).split())[:300]
            raise DataError(f"the checkpoint does not fit the recipe, which has changed: {text}. Put the recipe back, "
                            "or start a new run") from error  # fmt: skip
        self.micro_batches.size = self.progress.micro_batch_size or self.micro_batches.size
        if self.update.scaler and self.progress.loss_scale:
            self.update.scaler.load_state_dict(self.progress.loss_scale)
        self.best_weights = tensors.get("best", {})
        if self.process.rank < len(states):
            restore_torch_random_state(states[self.process.rank])
        if len(states) == self.process.world_size:
            return []
        return [f"the run had {len(states)} process(es) and goes on with {self.process.world_size}: the same samples "
                "and steps, but dropout draws other numbers from here on"]  # fmt: skip


def _random_name(rank: int) -> str:
    return f"random-{rank}" if rank else "random"
