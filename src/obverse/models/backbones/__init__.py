"""Networks from pictures to features, our own and those of timm, Transformers and torchvision."""
