"""Gradio app of one model, thin over the predictor: `python -m obverse.serving.gradio_page MODEL`.

Gradio wants an older Pillow than the newest, so that it has an environment of its own. The page of `obverse serve --ui`
needs none of it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obverse.errors import ObverseError, UnavailableError, printable

if TYPE_CHECKING:
    from obverse.inference import Prediction, Predictor

MOST_CLASSES = 10
DECISIONS = {"accept": "accepted", "review": "left to a person", "reject": "rejected"}


def build_app(predictor: Predictor) -> Any:
    """The Gradio app: a box for each view, a field for each extra column; answer, confidence, set and decision.

    UnavailableError when Gradio is missing.
    """
    if find_spec("gradio") is None:
        raise UnavailableError("gradio is not installed: pip install 'obverse[ui]', in an environment of its own, "
                               "because it wants an older Pillow; or `obverse serve MODEL --ui`")  # fmt: skip
    # Read when gradio is imported: nothing is sent anywhere unasked.
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    import gradio

    views, columns = predictor.views, predictor.columns

    def answer(*values: str | None) -> tuple[dict[str, float], str]:
        sample = {name: value for name, value in zip((*views, *columns), values, strict=True) if value}
        if not sample.keys() & set(views):
            return {}, "Give a picture."
        try:
            (prediction,) = predictor.predict(sample, top_k=MOST_CLASSES)
        except ObverseError as error:
            return {}, f"No answer: {printable(str(error))}"
        return dict(prediction.top), words_of(prediction)

    # The file itself, so that it is decoded as everywhere: Gradio would turn and re-encode it.
    boxes = [gradio.Image(label=view, type="filepath", image_mode=None) for view in views]
    fields = [gradio.Textbox(label=name, placeholder="not known") for name in columns]
    return gradio.Interface(
        answer,
        inputs=[*boxes, *fields],
        outputs=[gradio.Label(label="probabilities", num_top_classes=MOST_CLASSES), gradio.Textbox(label="answer")],
        title="Obverse",
        submit_btn="Classify",
        flagging_mode="never",
        api_name="answer",
        analytics_enabled=False,
    )


def words_of(prediction: Prediction) -> str:
    """An answer in words: class or label set with its confidence, prediction set, decision with its reason."""
    if prediction.is_set:
        lines = [", ".join(f"{name} ({value:.1%})" for name, value in prediction.labels) or "none of the classes"]
    else:
        lines = [f"{prediction.label} ({prediction.probability:.1%})"]
    if prediction.set_level is not None:
        lines += [f"with {100 * prediction.set_level:g} % promise: {prediction.set_words}"]
    if prediction.views_disagree and not prediction.is_set:
        lines += ["the views disagree"]
    if prediction.decision is not None:
        lines += [f"{DECISIONS[prediction.decision]}: {prediction.reason}"]
    return "\n".join(map(printable, lines))  # a line stays one, whatever is in a name


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the app on this machine until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m obverse.serving.gradio_page", description="Gradio app of a model.")
    parser.add_argument("model", type=Path, help="A run folder or a bundle.")
    parser.add_argument("--port", type=int, default=7860, help="Port on 127.0.0.1.")
    options = parser.parse_args(arguments)
    try:
        from obverse.inference import load

        app = build_app(load(options.model))
    except ObverseError as error:
        sys.stderr.write(f"Error: {printable(str(error))}\n")
        sys.exit(error.exit_code)
    app.launch(server_name="127.0.0.1", server_port=options.port, share=False)


if __name__ == "__main__":
    main()
