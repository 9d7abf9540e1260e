"""Goldens of whole networks and of the losses, by PyTorch: safetensors files beside this script.

    pip install torch==2.13.0+cpu numpy==2.4.6 safetensors==0.8.0
    python -W error make_goldens.py

A network's fixture has N clips and K tags (metadata `clips`, `tags`), no dropout, and:

    initial.<name>             every parameter and running statistic before the first step
    logits, loss               of the first forward in training mode; loss [1] in nats
    gradient.<name>            of that loss with respect to every parameter
    statistics.<name>          the running statistics after that forward
    evaluation.logits          in evaluation mode: initial parameters, those statistics
    adam5.<name>, losses5      parameters and running statistics after five Adam steps on the same
                               batch, and the loss [5] at the start of each

Biases of convolutions are held fixed, with gradient zero: batch normalization takes away their
effect. Frames of padding stay zero where frames are normalized, and so does the gradient of their
weight. Input and labels are not stored, see `batch`; the metadata's `formula` repeats it.
The other metadata: `network` and `precision` (text), `widths`, `settings`, `optimizer` and
`versions` (JSON), and

    float32Error         how far PyTorch's own float32 results are from the exact ones: for each
                         quantity the largest over its tensors of max|difference| / max|exact|
    adam5ErrorInSteps    the largest difference of a parameter after five steps, in learning rates:
                         Adam divides a gradient by its own size and so magnifies tiny ones' noise
    weakestGradient      the smallest |component| of a gradient over its tensor's largest float32
                         error: well above 1, or Adam's steps were noise
    poolMargin           the smallest lead of a max pool's winner over the runner-up, over the map's
                         largest float32 error, in all five forwards: near or above 1, float32 picks
                         the same winners. Exact ties, as in a CRNN's zero-padded frames, are
                         harmless: tied positions see the same numbers and give the same gradient.
"""

import copy
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

folder = Path(__file__).resolve().parent
sys.path.insert(0, str(folder.parents[2] / "LayersTests" / "Goldens"))

from fixture import (
    Draws, fill, gradients, prepare, relative_error, rounded, save_fixture, state)
from networks import BANDS, FRAMES, NETWORKS, check_published_sizes

CLIPS, TAGS, STEPS = 3, 7, 5
OPTIMIZER = {"name": "adam", "learningRate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}

# fixture: network, widths, settings, seed of the parameters (picked for a good `poolMargin` and
# `weakestGradient`)
FIXTURES = {
    "k1c2": ("k1c2", [3, 4, 5, 3, 5, 4], {"pool": "max"}, 19),
    "k2c1": ("k2c1", [3, 5, 4, 5, 3, 5, 4], {"pool": "max"}, 7),
    "k2c2": ("k2c2", [3, 5, 4, 3, 5], {"pool": "max"}, 15),
    "crnn": ("crnn", [3, 5, 4, 3, 5, 4], {"pool": "max", "reset": "before"}, 98),
    "crnn-reset-after": ("crnn", [3, 5, 4, 3, 5, 4], {"pool": "max", "reset": "after"}, 6),
    "crnn-average": ("crnn", [3, 4, 5, 3, 4, 5], {"pool": "average", "reset": "before"}, 1),
    "crnn-frames": (
        "crnn", [3, 4, 5, 3, 4, 5],
        {"pool": "average", "reset": "before", "inputNormalization": "frame",
         "gate": "hardSigmoid"}, 1),
    "mlp": ("mlp", [5, 4], {"poolFrames": 273}, 10),
    "rnn-tanh": ("rnn", [5], {"cell": "tanh", "recurrence": "lastStep", "poolFrames": 91}, 2),
    "rnn-gru": (
        "rnn", [5],
        {"cell": "gru", "recurrence": "lastStep", "poolFrames": 91, "reset": "before"}, 1),
    "rnn-lstm": ("rnn", [5], {"cell": "lstm", "recurrence": "lastStep", "poolFrames": 91}, 3),
    "rnn-gru-every-step": (
        "rnn", [5],
        {"cell": "gru", "recurrence": "everyStep", "poolFrames": 105, "reset": "before"}, 2),
    "rnn-output-to-hidden": (
        "rnn", [5], {"cell": "tanh", "recurrence": "outputToHidden", "poolFrames": 91}, 3),
}

FORMULA = """\
mix(i), all in UInt32 with wrap-around: h = i * 2654435761 + 12345; h ^= h >> 16; h *= 2246822507; \
h ^= h >> 13; h *= 3266489909; h ^= h >> 16. \
input[n, 0, f, t] = Float(q) / 128 - 60 with the integers i = (n * 96 + f) * 1366 + t, \
p = 61 + 16 * n, q = (mix(i) >> 20) + 16 * (n + 1) * (95 - f) + 24 * (p - 1 - (t + f) % p). \
label[n, k] = Float(mix(2147483648 + n * K + k) >> 31)."""


def mix(i):
    """A hash of 32-bit integers; uint64 keeps every product exact."""
    low = np.uint64(0xFFFF_FFFF)
    h = (i.astype(np.uint64) * np.uint64(2654435761) + np.uint64(12345)) & low
    h ^= h >> np.uint64(16)
    h = (h * np.uint64(2246822507)) & low
    h ^= h >> np.uint64(13)
    h = (h * np.uint64(3266489909)) & low
    return (h ^ (h >> np.uint64(16))).astype(np.int64)


def batch():
    """Input [N, 1, 96, 1366] in decibels and labels [N, K], from integers.

    Noise of 32 dB on a spectrum that falls with the band and on a decaying beat, both other in
    every clip. q has 14 bits and 128 is a power of two, so nothing rounds, in whatever order.
    """
    n, f, t = np.meshgrid(np.arange(CLIPS), np.arange(BANDS), np.arange(FRAMES), indexing="ij")
    period = 61 + 16 * n
    q = mix((n * BANDS + f) * FRAMES + t) >> 20
    q += 16 * (n + 1) * (BANDS - 1 - f) + 24 * (period - 1 - (t + f) % period)
    labels = mix(2**31 + np.arange(CLIPS * TAGS)) >> 31
    x = torch.from_numpy(q / 128 - 60).unsqueeze(1)
    return x, torch.from_numpy(labels).double().view(CLIPS, TAGS)


class PoolInputs:
    """Keeps what every max pool was given."""

    def __init__(self):
        self.maps = []

    def __enter__(self):
        self.handle = nn.modules.module.register_module_forward_pre_hook(self.keep)
        return self.maps

    def keep(self, module, arguments):
        if isinstance(module, nn.MaxPool2d):
            self.maps.append((module.kernel_size, arguments[0].detach()))

    def __exit__(self, *_):
        self.handle.remove()


def pool_margin(exact, single):
    """The smallest lead of a window's winner over the map's float32 error, exact ties apart."""
    margins = []
    for ((bands, frames), x), (_, x32) in zip(exact, single, strict=True):
        windows = x.unfold(2, bands, bands).unfold(3, frames, frames).flatten(4)
        first, second = windows.topk(2).values.unbind(-1)
        lead = (first - second)[first - second > 1e-12]
        margins.append((lead.min() / (x32 - x).abs().max()).item())
    return min(margins, default=None)


def initial_network(name, widths, settings, seed, x):
    """A float32 network with running statistics near the batch's, as in the midst of training."""
    network = NETWORKS[name](widths, TAGS, **settings)
    draws = Draws(seed)
    fill(network, draws, gain=1.5)
    twin = copy.deepcopy(network).double()
    normalizations = [m for m in twin.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))]
    for normalization in normalizations:
        normalization.momentum = 1
    twin(x)
    for normalization in normalizations:
        mean, variance = normalization.running_mean, normalization.running_var
        mean += variance.sqrt() * draws.uniform(mean.shape, -0.2, 0.2)
        variance *= draws.uniform(variance.shape, 0.8, 1.2)
    statistics = {n: v for n, v in state(twin).items() if "running" in n}
    network.load_state_dict(state(network) | statistics, strict=False)
    return network


def results(network, x, labels):
    """All quantities of a fixture except `initial`, in the precision of `x`."""
    network = copy.deepcopy(network).to(x.dtype)
    logits = network(x)
    loss = F.binary_cross_entropy_with_logits(logits, labels)
    loss.backward()
    found = {"logits": logits.detach(), "loss": loss.detach().view(1)} | gradients(network)
    found |= {f"statistics.{n}": v for n, v in state(network).items() if "running" in n}
    with torch.no_grad():
        found["evaluation.logits"] = network.eval()(x)
    return found


def training(network, x, labels):
    """The state after five Adam steps, and the losses."""
    network = copy.deepcopy(network).to(x.dtype)
    learned = [p for p in network.parameters() if p.requires_grad]
    adam = torch.optim.Adam(
        learned, lr=OPTIMIZER["learningRate"], betas=(OPTIMIZER["beta1"], OPTIMIZER["beta2"]),
        eps=OPTIMIZER["epsilon"])
    losses = []
    for _ in range(STEPS):
        adam.zero_grad()
        loss = F.binary_cross_entropy_with_logits(network(x), labels)
        loss.backward()
        adam.step()
        losses.append(loss.detach())
    return {f"adam5.{n}": v for n, v in state(network).items()} | {"losses5": torch.stack(losses)}


def precision(exact, single, exact_pools, single_pools):
    """The metadata that justify tolerances, explained at the top."""
    float32_error, steps, gradient = {}, 0, float("inf")
    for name, value in exact.items():
        quantity = name if name == "evaluation.logits" else name.split(".")[0]
        error = relative_error(single[name], value)
        float32_error[quantity] = max(error, float32_error.get(quantity, 0))
        noise = (single[name].double() - value).abs().max().item()
        if quantity == "adam5" and "running" not in name:
            steps = max(steps, noise / OPTIMIZER["learningRate"])
        if quantity == "gradient" and noise:
            gradient = min(gradient, value[value != 0].abs().min().item() / noise)
    margin = pool_margin(exact_pools, single_pools)
    return {
        "float32Error": {quantity: rounded(error) for quantity, error in float32_error.items()},
        "adam5ErrorInSteps": rounded(steps),
        "weakestGradient": rounded(gradient),
    } | ({"poolMargin": rounded(margin)} if margin else {})


def make(fixture, name, widths, settings, seed):
    x, labels = batch()
    network = initial_network(name, widths, settings, seed, x)
    computed, pools = [], []
    for dtype in (torch.float64, torch.float32):
        arguments = network, x.to(dtype), labels.to(dtype)
        with PoolInputs() as maps:
            trained = training(*arguments)
        computed.append(results(*arguments) | trained)
        pools.append(maps)
    exact, single = computed
    measured = precision(exact, single, *pools)
    fixed = {f"gradient.{n}" for n, p in network.named_parameters() if not p.requires_grad}
    frames = settings.get("inputNormalization") == "frame"
    padded = {"gradient.bn0.weight": 1440 - FRAMES} if frames else {}
    for quantity, value in exact.items():
        if quantity.startswith("gradient."):
            zeros = value.numel() if quantity in fixed else padded.get(quantity, 0)
            assert (value == 0).sum() == zeros, quantity
    assert measured["weakestGradient"] > 10, f"{fixture}: pick another seed"
    assert measured.get("poolMargin", 1) > 0.5, f"{fixture}: pick another seed"

    tensors = {f"initial.{n}": v for n, v in state(network).items()} | exact
    metadata = {
        "network": name, "widths": widths, "settings": settings, "clips": CLIPS, "tags": TAGS,
        "optimizer": OPTIMIZER, "formula": FORMULA} | measured
    save_fixture(folder / f"{fixture}.safetensors", tensors, metadata, limit=200_000)
    print(fixture, *(f"{loss:.4f}" for loss in exact["losses5"]), measured)


def make_losses():
    """`<case>.logits` and `.labels` [N, K], `.loss` [1] in nats, `.gradient` of the loss.

    `binary` is the mean over clips and tags of the binary cross-entropy, `softmax` the mean over
    clips of the cross-entropy with one-hot labels, `weighted` the binary one with
    `.positiveWeights` [K] as its `pos_weight`. The `Large` cases have logits of +-80 with right
    and wrong labels; their gradients near 0 are good to 1e-17, not to float32's precision.
    """
    draws = Draws(1)
    labels = {"binary": batch()[1], "softmax": F.one_hot(torch.tensor([0, 6, 4]), TAGS).double()}
    labels["weighted"] = labels["binary"]
    weights = torch.tensor([0.125, 0.5, 1, 1.5, 3, 17, 100]).double()
    losses = {
        "binary": F.binary_cross_entropy_with_logits, "softmax": F.cross_entropy,
        "weighted": lambda x, y: F.binary_cross_entropy_with_logits(x, y, pos_weight=weights)}
    tensors = {}
    cases = [
        ("binary", 4), ("binaryLarge", 80), ("softmax", 4), ("softmaxLarge", 80), ("weighted", 4),
        ("weightedLarge", 80)]
    for case, scale in cases:
        logits = draws.uniform((CLIPS, TAGS), -scale, scale)
        if scale == 80:
            logits[:, :5] = torch.tensor([80, -80, 0, 80, -80])
        kind = case.removesuffix("Large")
        exact = logits.double().requires_grad_()
        loss = losses[kind](exact, labels[kind])
        loss.backward()
        tensors |= {
            f"{case}.logits": logits, f"{case}.labels": labels[kind],
            f"{case}.loss": loss.view(1), f"{case}.gradient": exact.grad}
        if kind == "weighted":
            tensors[f"{case}.positiveWeights"] = weights
    metadata = {"clips": CLIPS, "tags": TAGS}
    save_fixture(folder / "losses.safetensors", tensors, metadata, limit=5_000)


if __name__ == "__main__":
    prepare()
    check_published_sizes()
    make_losses()
    for fixture, description in FIXTURES.items():
        make(fixture, *description)
