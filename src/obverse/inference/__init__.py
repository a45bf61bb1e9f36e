"""Prediction with a trained model: inputs, predictor and predictions."""

from .expansion import unread_in
from .json_form import as_json
from .prediction import Prediction
from .predictor import TOP_K, Predictor, load
from .requests import Failure, Requests
from .results import RowOptions, Rows, Written, csv_line, percent_note, shard_of, write_results
from .steps import Prepared, has_maps, least_decode, map_prepared, predict_prepared, prepare

__all__ = [
    "TOP_K",
    "Failure",
    "Prediction",
    "Predictor",
    "Prepared",
    "Requests",
    "RowOptions",
    "Rows",
    "Written",
    "as_json",
    "csv_line",
    "has_maps",
    "least_decode",
    "load",
    "map_prepared",
    "percent_note",
    "predict_prepared",
    "prepare",
    "shard_of",
    "unread_in",
    "write_results",
]
