"""Pictures per second of a plain loop: a timm network, torchvision's transforms, a DataLoader with two workers.

    PYTHON training_rate.py FOLDER --name resnet18 --size 224 --batch 32 [--bf16] [--channels-last] [--compile]

FOLDER has a folder per class. Prints the rate of the last of three epochs. No part of Obverse is used, but for the
network of `--name convnet`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import timm
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

EPOCHS = 3
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def network(name: str, size: int, num_classes: int) -> nn.Module:
    """Of timm, or the small convnet."""
    if name == "convnet":
        from obverse.models.backbones.convnet import ConvNet

        features = ConvNet(height=size, width=size, widths=(64, 128, 256))
        return nn.Sequential(features, nn.Linear(features.num_features, num_classes))
    kwargs = {"img_size": size} if name.startswith("vit") else {}
    return timm.create_model(name, num_classes=num_classes, **kwargs)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    for flag in ("--bf16", "--channels-last", "--compile"):
        parser.add_argument(flag, action="store_true")
    options = parser.parse_args()
    crop = transforms.RandomResizedCrop(options.size)
    steps = [crop, transforms.RandomHorizontalFlip(), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    data = datasets.ImageFolder(options.folder, transforms.Compose(steps))
    loader = DataLoader(data, options.batch, shuffle=True, drop_last=True, num_workers=2, persistent_workers=True)
    layout = torch.channels_last if options.channels_last else torch.contiguous_format
    model = network(options.name, options.size, len(data.classes)).to(memory_format=layout)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    forward = torch.compile(model) if options.compile else model
    for _ in range(EPOCHS):
        start = time.perf_counter()
        for images, labels in loader:
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=options.bf16):
                loss = functional.cross_entropy(forward(images.to(memory_format=layout)), labels)
            loss.backward()
            optimizer.step()
        rate = len(loader) * options.batch / (time.perf_counter() - start)
    print(rate)


if __name__ == "__main__":
    main()
