"""A plain loop over large photographs: Pillow, torchvision's Resize, a DataLoader with two workers, five epochs.

    PYTHON large_pictures.py FOLDER --height 256 --width 512 --batch 16 --epochs 5

FOLDER has train/ and val/ with a folder per class; val is looked at after every epoch. No part of Obverse is used, but
for the network, a small convnet.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from obverse.models.backbones.convnet import ConvNet

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    for name in ("--height", "--width", "--batch", "--epochs"):
        parser.add_argument(name, type=int, required=True)
    options = parser.parse_args()
    size = (options.height, options.width)
    ends = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    train = [transforms.Resize(size), transforms.RandomHorizontalFlip(), *ends]
    steps = {"train": train, "val": [transforms.Resize(size), *ends]}
    loaders = {
        split: DataLoader(
            datasets.ImageFolder(options.folder / split, transforms.Compose(steps[split])),
            options.batch,
            shuffle=split == "train",
            num_workers=2,
            persistent_workers=True,
        )
        for split in steps
    }
    features = ConvNet(height=options.height, width=options.width, widths=(32, 64, 128))
    model = nn.Sequential(features, nn.Linear(features.num_features, 2)).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(options.epochs):
        model.train()
        for images, labels in loaders["train"]:
            optimizer.zero_grad(set_to_none=True)
            functional.cross_entropy(model(images.to(memory_format=torch.channels_last)), labels).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            right = [model(images).argmax(1) == labels for images, labels in loaders["val"]]
        print(torch.cat(right).float().mean().item(), flush=True)


if __name__ == "__main__":
    main()
