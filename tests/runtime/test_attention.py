"""Attention in blocks, against torch's."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from obverse.runtime import attention, fast_attention

BATCH, HEADS, WIDTH = 2, 3, 16


def inputs(dtype: torch.dtype, num_queries: int, num_keys: int) -> list[torch.Tensor]:
    """Query, key and value, as views with another order of axes in memory, and a gradient of the answer."""
    generator = torch.Generator().manual_seed(0)
    shapes = [num_queries, num_keys, num_keys, num_queries]
    tensors = [torch.randn(BATCH, num, HEADS, WIDTH, generator=generator).transpose(1, 2) for num in shapes]
    return [tensor.to(torch.bfloat16).to(dtype).detach().requires_grad_() for tensor in tensors]


def answer_and_gradients(dtype: torch.dtype, *shape: int, **options: Any) -> list[torch.Tensor]:
    """Of torch's function, in whatever context."""
    *qkv, gradient = inputs(dtype, *shape)
    answer = functional.scaled_dot_product_attention(*qkv, **options)
    return [answer.detach(), *torch.autograd.grad(answer, qkv, gradient.to(answer.dtype))]


def error(values: list[torch.Tensor], right: list[torch.Tensor]) -> float:
    """The largest relative error of the answer and the three gradients."""
    pairs = zip(values, right, strict=True)
    return max(float((value.double() - exact).norm() / exact.norm()) for value, exact in pairs)


@pytest.mark.parametrize("shape", [(9, 9), (5, 12), (1, 7)], ids=str)
@pytest.mark.parametrize("block", [1, 100, 2**20])
@pytest.mark.parametrize("options", [{}, {"scale": 0.7}], ids=str)
def test_attention_in_blocks_is_as_exact_as_bf16_can_be(
    shape: tuple[int, int], block: int, options: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bf16 has eight bits, and three products follow each other; 2 % are allowed, of which .7 are used (torch: .4)."""
    monkeypatch.setattr(attention, "BLOCK", block)
    right = answer_and_gradients(torch.float64, *shape, **options)
    with torch.autocast("cpu", torch.bfloat16), fast_attention():
        values = answer_and_gradients(torch.bfloat16, *shape, **options)
    assert [value.dtype for value in values] == [torch.bfloat16] * 4
    assert error(values, right) < 0.02


def test_blocks_do_not_change_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    results = []
    for block in (1, 300, 2**20):
        monkeypatch.setattr(attention, "BLOCK", block)
        with torch.autocast("cpu", torch.bfloat16), fast_attention():
            results.append(answer_and_gradients(torch.bfloat16, 9, 9))
    for values in results[1:]:
        torch.testing.assert_close(values, results[0])


def used(**options: Any) -> bool:
    """Whether attention in the current context is that in blocks."""
    *qkv, _ = inputs(torch.float32, 9, 9)
    with fast_attention():
        answer = functional.scaled_dot_product_attention(*qkv, **options)
    return type(answer.grad_fn).__name__ == "_BlockedBackward"


def test_only_plain_attention_under_bf16_is_computed_in_blocks() -> None:
    assert not used()
    with torch.autocast("cpu", torch.float16):
        assert not used()
    with torch.autocast("cpu", torch.bfloat16):
        assert used()
        assert used(scale=0.5)
        assert not used(is_causal=True)
        assert not used(attn_mask=torch.zeros(9, 9))
        assert not used(dropout_p=0.5)


def test_arguments_by_place_and_by_name() -> None:
    """Some callers give all of them by place."""
    query, key, value, _ = inputs(torch.bfloat16, 9, 9)
    with torch.autocast("cpu", torch.bfloat16), fast_attention():
        plain = functional.scaled_dot_product_attention(query, key, value)
        by_place = functional.scaled_dot_product_attention(query, key, value, None, 0.0, False)
        by_name = functional.scaled_dot_product_attention(query=query, key=key, value=value, enable_gqa=False)
    assert type(by_place.grad_fn).__name__ == "_BlockedBackward"
    torch.testing.assert_close((by_place, by_name), (plain, plain), atol=0, rtol=0)


def test_torch_s_module_keeps_torch_s_kernel() -> None:
    """MultiheadAttention, of torchvision's transformers: the context does not see into its own function."""
    layer = torch.nn.MultiheadAttention(HEADS * WIDTH, HEADS, batch_first=True)
    tokens = torch.randn(BATCH, 9, HEADS * WIDTH)

    def gradient(context: Any) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16), context:
            answer, _ = layer(tokens, tokens, tokens, need_weights=False)
        return torch.autograd.grad(answer.sum(), layer.in_proj_weight)[0]

    torch.testing.assert_close(gradient(fast_attention()), gradient(nullcontext()), atol=0, rtol=0)


@pytest.mark.parametrize("shape", [(0, 9), (9, 0)], ids=str)
def test_no_tokens(shape: tuple[int, int]) -> None:
    query, _, value, _ = inputs(torch.bfloat16, *shape)
    expected = functional.scaled_dot_product_attention(query, value, value)
    with torch.autocast("cpu", torch.bfloat16), fast_attention():
        answer = functional.scaled_dot_product_attention(query, value, value)
    torch.testing.assert_close(answer, expected)


def test_a_long_sequence_keeps_torch_s_kernel_and_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "MOST_OF_A_HEAD", 81)
    with torch.autocast("cpu", torch.bfloat16):
        assert used()
        monkeypatch.setattr(attention, "MOST_OF_A_HEAD", 80)
        assert not used()


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_a_network_that_checkpoints_itself_has_the_gradients_of_torch_s_kernel(use_reentrant: bool) -> None:
    """Its backward pass computes attention again, outside of the context."""

    def gradients(context: Any) -> list[torch.Tensor]:
        *qkv, gradient = inputs(torch.bfloat16, 9, 9)
        with torch.autocast("cpu", torch.bfloat16), context:
            answer = checkpoint(functional.scaled_dot_product_attention, *qkv, use_reentrant=use_reentrant)
        answer.backward(gradient)
        return [answer.detach(), *(tensor.grad for tensor in qkv)]

    torch.testing.assert_close(gradients(fast_attention()), gradients(nullcontext()), atol=0, rtol=0)


def test_the_layout_is_that_of_torch_s_kernel() -> None:
    *qkv, _ = inputs(torch.bfloat16, 9, 9)
    expected = functional.scaled_dot_product_attention(*qkv)
    with torch.autocast("cpu", torch.bfloat16), fast_attention():
        answer = functional.scaled_dot_product_attention(*qkv)
    assert answer.stride() == expected.stride()


def test_inputs_in_fp32_are_rounded_under_autocast() -> None:
    """As torch's autocast does with its own attention."""
    with torch.autocast("cpu", torch.bfloat16), fast_attention():
        rounded = answer_and_gradients(torch.bfloat16, 9, 9)
        values = answer_and_gradients(torch.float32, 9, 9)
    assert [value.dtype for value in values] == [torch.bfloat16, *[torch.float32] * 3]
    for value, same in zip(values, rounded, strict=True):
        torch.testing.assert_close(value, same, check_dtype=False)
