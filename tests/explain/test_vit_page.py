"""docs/explanation/vit.md: the network is the one that is drawn there, pre-norm."""

import timm
import torch


def test_a_block_is_pre_norm_and_the_embedding_is_the_class_token():
    torch.manual_seed(0)
    model = timm.create_model("vit_tiny_patch16_224", num_classes=0, img_size=32, depth=2).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        tokens = model.patch_embed(images)
        assert tokens.shape == (2, 4, 192)
        x = torch.cat([model.cls_token.expand(2, -1, -1), tokens], 1) + model.pos_embed
        for block in model.blocks:
            x = x + block.attn(block.norm1(x))
            x = x + block.mlp(block.norm2(x))
        torch.testing.assert_close(model.norm(x)[:, 0], model(images))


def test_the_figures_of_the_page():
    with torch.device("meta"):
        model = timm.create_model("vit_base_patch16_224", num_classes=0)
    assert (len(model.blocks), model.embed_dim, model.blocks[0].attn.num_heads) == (12, 768, 12)
    assert model.blocks[0].attn.head_dim == 64
    assert round(sum(p.numel() for p in model.parameters()) / 1e6) == 86
    assert model.blocks[0].mlp.fc1.out_features == 3072
    assert (1008 // 16) ** 2 + 1 == 3970
    assert round((3970 / 197) ** 2, -2) == 400
