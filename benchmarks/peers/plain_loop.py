"""A plain training loop: timm's ResNet-18 from scratch with torchvision's transforms, one cycle in a time budget.

    PYTHON plain_loop.py FOLDER OUT.json --minutes 3 --seed 0 --size 224

FOLDER holds train/, val/ and test/ with a folder per class. OUT gets {picture: class} for test, by the epoch that was
best on val. What a careful user writes by hand: no part of Obverse is used.
"""

from __future__ import annotations

import copy
import time

import timm
import torch
from common_peer import arguments, write_predictions
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

BATCH, PEAK_RATE, WARMUP = 64, 1e-3, 0.1
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def rate(share: float) -> float:
    """Linear up, linear down, over the share of the time that is gone."""
    return PEAK_RATE * min(share / WARMUP, max(0.0, (1 - share) / (1 - WARMUP)))


def main() -> None:
    start = time.monotonic()
    options = arguments()
    torch.manual_seed(options.seed)
    normalise = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    augmented = [transforms.RandomResizedCrop(options.size), transforms.RandomHorizontalFlip(), *normalise]
    plain = [transforms.Resize(options.size), transforms.CenterCrop(options.size), *normalise]
    sets = {
        split: datasets.ImageFolder(options.folder / split, transforms.Compose(steps))
        for split, steps in (("train", augmented), ("val", plain), ("test", plain))
    }
    loaders = {
        split: DataLoader(data, BATCH, shuffle=split == "train", drop_last=split == "train", num_workers=2)
        for split, data in sets.items()
    }
    model = timm.create_model("resnet18", num_classes=len(sets["train"].classes))
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=0.05)
    budget, best, kept = 60 * options.minutes, -1.0, model.state_dict()
    while time.monotonic() - start < budget:
        model.train()
        for images, labels in loaders["train"]:
            share = (time.monotonic() - start) / budget
            if share >= 1:
                break
            for group in optimizer.param_groups:
                group["lr"] = rate(share)
            optimizer.zero_grad(set_to_none=True)
            functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
        guesses = answers(model, loaders["val"])
        accuracy = sum(map(int.__eq__, guesses, sets["val"].targets)) / len(guesses)
        if accuracy > best:
            best, kept = accuracy, copy.deepcopy(model.state_dict())
    model.load_state_dict(kept)
    names = sets["train"].classes
    write_predictions(options, [path for path, _ in sets["test"].samples],
                      [names[guess] for guess in answers(model, loaders["test"])])  # fmt: skip


@torch.no_grad()
def answers(model: torch.nn.Module, loader: DataLoader) -> list[int]:
    """Class numbers in the loader's order."""
    model.eval()
    return [guess for images, _ in loader for guess in model(images).argmax(1).tolist()]


if __name__ == "__main__":
    main()
