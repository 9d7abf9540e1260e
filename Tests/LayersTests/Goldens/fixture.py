"""What the scripts share that make goldens: pinned versions, parameters, comparing, and saving.

Numbers are computed in float64 from values that float32 holds exactly, and stored as float32:
a golden is the exact answer, rounded once. Every script also computes in float32, and a fixture's
metadata say how far that is from exact (`float32Error`), so that a tolerance can be justified.
"""

import json
import math
import struct

import numpy
import safetensors
import torch
from safetensors.torch import load_file, save
from torch import nn

VERSIONS = {"torch": "2.13.0+cpu", "numpy": "2.4.6", "safetensors": "0.8.0"}


def prepare():
    """Checks the versions and makes PyTorch deterministic."""
    installed = {m.__name__: m.__version__ for m in (torch, numpy, safetensors)}
    assert installed == VERSIONS, f"found {installed}, these goldens are pinned to {VERSIONS}"
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


class Draws:
    """Uniform random numbers, drawn as float32."""

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)

    def uniform(self, shape, low, high):
        numbers = torch.rand(shape, generator=self.generator, dtype=torch.float32)
        return numbers * (high - low) + low


@torch.no_grad()
def fill(module, draws, gain=1):
    """Draws every parameter and running statistic, so that nothing is left at 0 or 1.

    Weights are in Glorot's range times `gain`; every third gamma is negative.
    """
    normalizations = (nn.BatchNorm1d, nn.BatchNorm2d)
    for part in module.modules():
        for name, value in part.named_parameters(recurse=False):
            if isinstance(part, normalizations):
                if name == "weight":
                    drawn = draws.uniform(value.shape, 0.5, 1.5)
                    drawn[1::3] *= -1
                else:
                    drawn = draws.uniform(value.shape, -0.4, 0.4)
            elif value.dim() == 1:
                drawn = draws.uniform(value.shape, -0.3, 0.3)
            else:
                # a kernel's positions count in both fans
                fans = (value.shape[0] + value.shape[1]) * math.prod(value.shape[2:])
                drawn = draws.uniform(value.shape, -1, 1) * (gain * math.sqrt(6 / fans))
            value.copy_(drawn)
        if isinstance(part, normalizations):
            part.running_mean.copy_(draws.uniform(part.running_mean.shape, -0.5, 0.5))
            part.running_var.copy_(draws.uniform(part.running_var.shape, 0.5, 1.5))


def state(module):
    """Copies of all parameters and running statistics, by name."""
    return {
        name: value.detach().clone()
        for name, value in module.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def gradients(module):
    """Every parameter's gradient, by name; zeros for what is held fixed."""
    return {
        f"gradient.{name}": torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for name, p in module.named_parameters()
    }


def relative_error(approximate, exact):
    """The largest difference, relative to the tensor's largest magnitude; 0 if that is 0."""
    scale = exact.abs().max().item()
    return (approximate.double() - exact).abs().max().item() / scale if scale else 0.0


def rounded(number):
    """Two significant digits, for metadata."""
    return float(f"{number:.1e}")


def save_fixture(path, tensors, metadata, limit):
    """Writes `tensors` as float32 and `metadata` as plain text or JSON, and reads them back."""
    tensors = {n: t.detach().to(torch.float32).contiguous() for n, t in tensors.items()}
    metadata |= {"versions": VERSIONS, "precision": "computed in float64, stored in float32"}
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    path.write_bytes(with_sorted_metadata(save(tensors, metadata=texts)))

    reloaded = load_file(path)
    assert reloaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(reloaded[name], tensor), f"{path.name}: {name} changed on disk"
        assert tensor.isfinite().all(), f"{path.name}: {name} is not finite"
    with safetensors.safe_open(path, "pt") as file:
        assert file.metadata() == texts
    assert path.stat().st_size < limit, f"{path.name}: {path.stat().st_size} bytes"


def with_sorted_metadata(file):
    """The same safetensors bytes with sorted metadata, which the library writes in random order."""
    (length,) = struct.unpack_from("<Q", file)
    header = json.loads(file[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return file[:8] + text.ljust(length) + file[8 + length :]
