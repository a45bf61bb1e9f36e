"""Predict pictures: `python predict.py --image sample.jpg --top-k 3`."""

from __future__ import annotations

import argparse

from classifier import draw_prediction, end_well, newest_run

import obverse


def main() -> None:
    """Print the likeliest classes of every picture; of a single picture, draw them, too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", nargs="+", required=True, help="pictures, or folders or archives of them")
    parser.add_argument("--top-k", type=int, default=3)
    parser.add_argument("--model", help="a run folder or a bundle; by default the newest run")
    parser.add_argument("--out", default="prediction.png", help="where the picture of a single prediction goes")
    arguments = parser.parse_args()
    predictor = obverse.load(arguments.model or newest_run())
    predictions = predictor.predict(arguments.image, top_k=arguments.top_k)
    for prediction in predictions:
        print(prediction.id)
        for name, probability in prediction.top:
            print(f"  {name}: {probability:.2%}")
    if len(predictions) == 1 and predictions[0].id == arguments.image[0]:  # a picture, no folder or archive
        draw_prediction(arguments.image[0], predictions[0], arguments.out)
        print(f"drawn in {arguments.out}")


if __name__ == "__main__":
    end_well(main)
