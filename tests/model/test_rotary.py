import torch

from textus.model.rotary import Rotary, angles, rotate


def _by_complex_numbers(x, theta):
    # an independent form: each pair is a complex number, turned by multiplication
    half = x.shape[-1] // 2
    pair = torch.complex(x[..., :half].double(), x[..., half:].double())
    frequency = theta ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = torch.arange(x.shape[1], dtype=torch.float64)[:, None] * frequency
    turned = pair * torch.polar(torch.ones_like(angle), angle)[:, None]
    return torch.cat((turned.real, turned.imag), -1)


def test_rotation_is_multiplication_by_a_complex_number():
    x = torch.randn(2, 50, 3, 8, generator=torch.Generator().manual_seed(0))
    got = rotate(x, angles(8, 50, 1000.0), torch.float32)
    torch.testing.assert_close(got.double(), _by_complex_numbers(x, 1000.0), rtol=1e-4, atol=1e-5)


def test_products_depend_on_distance_only():
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(1, 1, 1, 16, generator=generator).expand(1, 64, 1, 16) for _ in range(2))
    rotation = angles(16, 64, 10000.0)
    products = torch.einsum(
        "bqhd,bkhd->qk", rotate(query, rotation, torch.float32), rotate(key, rotation, torch.float32)
    )
    for distance in (0, 1, 17):
        line = products.diagonal(distance)
        torch.testing.assert_close(line, line[:1].expand_as(line), rtol=1e-4, atol=1e-4)


def test_a_piece_of_the_table_is_the_table():
    table = Rotary(8, 32, 10000.0)
    device = torch.device("cpu")
    for whole, piece in zip(table.at(0, 32, device), table.at(5, 9, device), strict=True):
        assert torch.equal(whole[5:9], piece)
