"""Quantised files of every kind of model give nearly the answers of the exact one, in both formats."""

import numpy as np
import pytest

from obverse.api.quantising import export_quantised
from obverse.errors import RecipeError
from obverse.experiment import start_run
from obverse.export import Exact, TrainedModel, exact_and_quantised, onnx, samples
from obverse.runs import RunFolder
from obverse.studies.ensemble import make_ensemble
