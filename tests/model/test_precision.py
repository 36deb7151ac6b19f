import torch

from textus.model.precision import autocast, compute_dtype


def test_products_follow_the_context():
    x = torch.zeros(1)
    assert compute_dtype(x) is torch.float32
    with autocast("cpu", "bf16"):
        assert compute_dtype(x) is torch.bfloat16
    with autocast("cpu", "fp32"):
        assert compute_dtype(x) is torch.float32
        assert compute_dtype(x.half()) is torch.float16
