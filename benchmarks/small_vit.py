"""A small pretrained ViT, made here, for benchmarks of fine-tuning where no weights can be downloaded.

timm's vit_tiny_patch16_224 at 64 pixels, trained on CIFAR-10's training pictures: on their classes, and on the features
that the local MobileNetV2 weights give for them, which say more about a picture than one of ten classes does.
    OBVERSE_REAL_DATA=... python benchmarks/small_vit.py FILE.safetensors [MINUTES]
Writes timm's tensors without a classifier. Minutes are the processor's, of all threads together.
"""

from __future__ import annotations

import io
import os
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch.nn import functional

from obverse.runtime import supports_bf16

NAME, SIDE, TEACHER_SIDE, BATCH, NUM_PICTURES = "vit_tiny_patch16_224", 64, 96, 128, 30_000


def pictures(archive: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels (N, 3, 32, 32), uint8, and classes (N)."""
    with zipfile.ZipFile(archive) as names:
        paths = [name for name in names.namelist() if name.endswith(".jpg")]
        classes = sorted({Path(path).parent.name for path in paths})
        pixels = [np.asarray(Image.open(io.BytesIO(names.read(path)))) for path in paths]
    labels = torch.tensor([classes.index(Path(path).parent.name) for path in paths])
    return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous(), labels


def as_input(pixels: torch.Tensor, side: int) -> torch.Tensor:
    """Enlarged and normalised to -1..1."""
    return functional.interpolate(pixels.float() / 127.5 - 1, (side, side), mode="bicubic", antialias=True)


@torch.inference_mode()
def teacher_features(data: Path, pixels: torch.Tensor) -> torch.Tensor:
    """Standardised features (N, D) of the local MobileNetV2."""
    net = timm.create_model("mobilenetv2_100", pad_type="same", num_classes=0).eval()
    net.load_state_dict(load_file(data / "mobilenetv2_100_imagenet1k.safetensors"), strict=False)
    known = torch.cat([net(as_input(part, TEACHER_SIDE)) for part in pixels.split(250)])
    return (known - known.mean(0)) / (known.std(0) + 1e-3)


def main() -> None:
    target, minutes = Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 30.0
    data = Path(os.environ["OBVERSE_REAL_DATA"])
    with_bf16 = supports_bf16(torch.device("cpu"))
    torch.manual_seed(0)
    pixels, labels = pictures(data / "cifar10_train.zip")
    rows = torch.randperm(len(pixels))[:NUM_PICTURES]
    pixels, labels = pixels[rows], labels[rows]
    wanted = teacher_features(data, pixels).clone()
    net = timm.create_model(NAME, img_size=SIDE, num_classes=0, drop_path_rate=0.05)
    heads = torch.nn.ModuleList([torch.nn.Linear(192, 10), torch.nn.Linear(192, wanted.shape[1])])
    parameters = [*net.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=0.05)
    used, seen = 0.0, 0
    while used < minutes * 60:
        start = time.process_time()
        rows = torch.randint(len(pixels), (BATCH,))
        part = functional.pad(pixels[rows], (4, 4, 4, 4))
        y, x = torch.randint(9, (2,)).tolist()
        part = part[:, :, y : y + 32, x : x + 32]
        part = part.flip(-1) if torch.rand(()) < 0.5 else part
        fraction = used / (minutes * 60)
        rate = min(1.0, fraction / 0.05) * 0.5 * (1 + np.cos(np.pi * fraction))
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * max(rate, 1e-3)
        with torch.autocast("cpu", torch.bfloat16, enabled=with_bf16):
            features = net(as_input(part, SIDE))
            classes, copied = heads[0](features).float(), heads[1](features).float()
        loss = functional.cross_entropy(classes, labels[rows], label_smoothing=0.1)
        loss = loss + functional.smooth_l1_loss(copied, wanted[rows])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        seen += BATCH
        used += time.process_time() - start
        if seen % (BATCH * 50) == 0:
            right = (classes.argmax(1) == labels[rows]).float().mean()
            print(f"{used / 60:.1f} min, {seen} pictures, loss {loss:.3f}, batch accuracy {right:.2f}", flush=True)
    save_file({name: tensor.contiguous() for name, tensor in net.state_dict().items()}, target)


if __name__ == "__main__":
    main()
