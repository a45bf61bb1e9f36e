"""Train on a folder of class folders: `python train.py --epochs 5 --batch-size 16`."""

from __future__ import annotations

import argparse

from classifier import DATA, MODEL, choose_recipe, end_well, train


def main() -> None:
    """Choose a recipe, train, evaluate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=DATA, help="root/<class>/*.jpg")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--model", default=MODEL, help="vit-small, vit-base, vit-large, any name of timm, or scratch")
    parser.add_argument("--weights", default="hub", help="hub, none, or a weight file on this machine")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--set", action="append", default=[], help="any field of the recipe: augment.jitter=0")
    arguments = parser.parse_args()
    settings = [f"training.batch_size={arguments.batch_size}", f"runtime.device={arguments.device}"]
    settings += [f"optim.lr={arguments.learning_rate}"] if arguments.learning_rate is not None else []
    settings += arguments.set
    recipe, said = choose_recipe(arguments.model, arguments.weights, arguments.epochs, settings)
    print(said)
    result = train(arguments.data, recipe)
    metrics = result.metrics
    print(f"{metrics['split'].capitalize()} accuracy: {metrics['accuracy']['value']:.2%}")
    for k, share in metrics["top_k"].items():
        print(f"Top-{k} accuracy: {share['value']:.2%}")
    print(f"Report: {result.report}")


if __name__ == "__main__":
    end_well(main)
