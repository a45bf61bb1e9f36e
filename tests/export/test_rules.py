"""Sets, decisions and outlier scores of exported graphs are those of `obverse predict`."""

import numpy as np
import pytest
import torch
from torch import nn

from obverse.decisions import VERDICTS, LabelSet, OneClass, Rules, outlier_scores, to_probabilities
from obverse.engines import OnnxSession, OpenVinoSession, Outputs, to_onnx
from obverse.inference.prediction import read_predictions
from obverse.recipe import OutputSpec

pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")

NUM = 64
NAMES = ("set", "decision", "outlier_score")


class Answered(nn.Module):
    """The last part of exported graphs: from class logits and embeddings to what several rules give."""

    def __init__(self, kind, outputs, detector):
        super().__init__()
        self.kind = kind
        self.rules = nn.ModuleList(Rules(output, detector, torch.float32) for output in outputs)

    def forward(self, logits_NK, embeddings_ND):
        probabilities_NK = self.kind.probabilities(logits_NK)
        answers = self.kind.decide(probabilities_NK)
        confidence_N = self.kind.confidence(probabilities_NK, answers)
        given = [rules(probabilities_NK, answers, confidence_N, embeddings_ND) for rules in self.rules]
        return tuple(values[name] for values in given for name in NAMES)


def drawn(num_classes):
    """Class logits (N, K) of samples between neighbouring classes, and embeddings (N, D) around two means."""
    rng = np.random.default_rng(num_classes)
    place_N1, width_N1 = rng.uniform(0, num_classes, (NUM, 1)), np.exp(rng.normal(0.5, 0.5, (NUM, 1)))
    logits_NK = -(((np.arange(num_classes) - place_N1) / width_N1) ** 2) / 2 + rng.normal(0, 1, (NUM, num_classes))
    embeddings_ND = rng.normal(0, 1, (NUM, 12)) + 3 * rng.normal(0, 1, (2, 12))[rng.integers(0, 2, NUM)]
    return logits_NK.astype(np.float32), embeddings_ND.astype(np.float32)


def exported(module, logits_NK, embeddings_ND):
    """The ONNX model of a module, for any number of samples."""
    batch = {0: torch.export.Dim.DYNAMIC}
    proto = to_onnx(
        module.eval(),
        (torch.from_numpy(logits_NK[:2]), torch.from_numpy(embeddings_ND[:2])),
        input_names=["logits", "embeddings"],
        output_names=[f"{name}{number}" for number in range(len(module.rules)) for name in NAMES],
        dynamic_shapes=(batch, batch),
    )
    return proto.SerializeToString()


def predicted(kind, output, detector, logits_NK, embeddings_ND):
    """The predictions of `obverse predict`."""
    classes, ids = tuple(f"class {k}" for k in range(logits_NK.shape[1])), tuple(map(str, range(NUM)))
    outputs = Outputs(ids, np.zeros(NUM, np.int64), logits_NK, embeddings_ND, ())
    options = {"classes": classes, "views": ("image",), "top_k": 1, "rule": output, "detector": detector}
    return classes, list(read_predictions(outputs, kind, **options))


MEDIAN = OneClass("median", ordered=True)
CASES = {
    "lac": (OneClass(), 3),
    "raps": (OneClass(), 130),
    "range": (MEDIAN, 27),
    "rps": (MEDIAN, 9),
    "labels": (LabelSet((0.3, 0.5, 0.5, 0.6, 0.7)), 5),
}


@pytest.mark.parametrize("name", CASES)
def test_values_of_both_runtimes_are_those_of_predict(name, fit_rules):
    kind, num_classes = CASES[name]
    logits_NK, embeddings_ND = drawn(num_classes)
    if name == "raps":
        # Of equal classes the first comes first. None is so improbable that a runtime rounds it to 0.
        logits_NK = np.maximum(logits_NK, logits_NK.max(1, keepdims=True) - 20).round()
    probabilities_NK = to_probabilities(logits_NK, kind)
    output, detector = fit_rules(OutputSpec(), kind, probabilities_NK, embeddings_ND, name)
    (limit,) = output.sets.quantile
    limits = [(limit,), *([(limit, None, limit / 2), (None,)] if name == "lac" else [])]
    rules = [output.changed({"sets": output.sets.changed({"quantile": each})}) for each in limits]
    data = exported(Answered(kind, rules, detector), logits_NK, embeddings_ND)
    scores_N = outlier_scores(output.outliers, detector, probabilities_NK, embeddings_ND)
    for session in (OnnxSession(data), OpenVinoSession(data)):
        given = session.run({"logits": logits_NK, "embeddings": embeddings_ND})
        for number, rule in enumerate(rules):
            classes, wanted = predicted(kind, rule, detector, logits_NK, embeddings_ND)
            assert {prediction.decision for prediction in wanted} == set(VERDICTS)
            assert len({prediction.set for prediction in wanted}) > (rule.sets.quantile != (None,))
            sets_NK, places_N, given_N = (given[f"{each}{number}"] for each in NAMES)
            assert (sets_NK.dtype, places_N.dtype) == (np.bool_, np.int64)
            sets = [tuple(np.array(classes)[row_K].tolist()) for row_K in sets_NK]
            assert sets == [prediction.set for prediction in wanted]
            assert [VERDICTS[place] for place in places_N] == [prediction.decision for prediction in wanted]
            # The entropy is steep where a probability is almost 1, of which single precision keeps few digits.
            np.testing.assert_allclose(given_N, scores_N, rtol=1e-3, atol=1e-3)
