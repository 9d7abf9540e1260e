"""Goldens of single layers, by PyTorch: one safetensors file per case, beside this script.

    pip install torch==2.13.0+cpu numpy==2.4.6 safetensors==0.8.0
    python -W error make_layer_goldens.py

Tensors of a file: `input`, `output`, `upstream` (the gradient with respect to the output),
`gradient.input`, and for every parameter `parameter.<name>` and `gradient.<name>`. With batch
normalization also `before.<name>` and `after.<name>`: the running statistics around one forward.
A case with `training: false` in its settings is forward only: input, parameters, `before`, output.
Metadata: `case` (a sentence), `settings` (JSON), `float32Error` (JSON, see fixture.py), `versions`.
"""

import copy
from pathlib import Path

import torch
from torch import nn

import layers
from fixture import Draws, fill, gradients, prepare, relative_error, rounded, save_fixture, state


class Readout(nn.Module):
    """Output-to-hidden recurrence together with the dense layer whose output it feeds back."""

    def __init__(self, inputs, hidden, outputs):
        super().__init__()
        self.rnn = layers.OutputToHidden(inputs, hidden, outputs)
        self.output = nn.Linear(hidden, outputs)

    def forward(self, x):
        return self.rnn(x, self.output)


class Block(nn.Module):
    """Convolution, batch normalization, ELU, pool."""

    def __init__(self, inputs, outputs, kernel, pool, size, valid_bands=False):
        super().__init__()
        self.conv = layers.Convolution(inputs, outputs, kernel, valid_bands, fixed_bias=True)
        self.bn = nn.BatchNorm2d(outputs)
        self.pool = layers.pooling(pool, size)

    def forward(self, x):
        return self.pool(nn.functional.elu(self.bn(self.conv(x))))


# name: (what it is, layer, input shape, settings)
def cases():
    pooling = layers.pooling
    return {
        "dense": ("dense layer", nn.Linear(7, 5), (3, 7), {}),
        "batch-norm-training": (
            "batch normalization per channel by the batch's statistics",
            nn.BatchNorm2d(5), (3, 5, 7, 11), {"training": True}),
        "batch-norm-evaluation": (
            "batch normalization per channel by the running statistics",
            nn.BatchNorm2d(5), (3, 5, 7, 11), {"training": False}),
        "band-norm-training": (
            "batch normalization of the network's input per band by the batch's statistics",
            layers.BandNormalization(7), (3, 1, 7, 11), {"training": True}),
        "band-norm-evaluation": (
            "batch normalization of the network's input per band by the running statistics",
            layers.BandNormalization(7), (3, 1, 7, 11), {"training": False}),
        "elu": ("ELU, alpha 1", nn.ELU(), (2, 3, 5, 7), {}),
        "max-pool-2x4": (
            "max pool, incomplete windows dropped",
            pooling("max", (2, 4)), (2, 3, 7, 15), {"pool": "max", "size": [2, 4]}),
        "average-pool-3x5": (
            "average pool, incomplete windows dropped",
            pooling("average", (3, 5)), (2, 3, 7, 13), {"pool": "average", "size": [3, 5]}),
        "block-max": (
            "3x3 convolution, batch normalization, ELU, max pool; gammas of both signs",
            Block(3, 5, (3, 3), "max", (2, 4)), (3, 3, 7, 19),
            {"kernel": [3, 3], "pool": "max", "size": [2, 4], "training": True}),
        "block-average": (
            "1x4 convolution, batch normalization, ELU, average pool; gammas of both signs",
            Block(3, 5, (1, 4), "average", (1, 5)), (3, 3, 5, 17),
            {"kernel": [1, 4], "pool": "average", "size": [1, 5], "training": True}),
        "block-96x4": (
            "96x4 convolution valid over the bands, batch normalization, ELU, max pool",
            Block(1, 3, (96, 4), "max", (1, 4), valid_bands=True), (3, 1, 96, 15),
            {"kernel": [96, 4], "validBands": True, "pool": "max", "size": [1, 4],
             "training": True}),
        "block-evaluation": (
            "3x3 convolution, batch normalization by running statistics, ELU, max pool",
            Block(3, 5, (3, 3), "max", (3, 5)), (2, 3, 7, 19),
            {"kernel": [3, 3], "pool": "max", "size": [3, 5], "training": False}),
        "tanh": (
            "tanh cells, outputs at every step",
            layers.Tanh(7, 5), (3, 9, 7), {"cell": "tanh"}),
        "gru-before": (
            "gated units, reset gate before the recurrent product, outputs at every step",
            layers.GRUResetBefore(7, 5), (3, 9, 7), {"cell": "gru", "reset": "before"}),
        "gru-after": (
            "gated units, reset gate after the recurrent product, outputs at every step",
            layers.GRUResetAfter(7, 5), (3, 9, 7), {"cell": "gru", "reset": "after"}),
        "lstm": (
            "LSTM cells, outputs at every step",
            layers.LSTM(7, 5), (3, 9, 7), {"cell": "lstm"}),
        "output-to-hidden": (
            "tanh cells fed by the last output, outputs of the dense readout at every step",
            Readout(7, 5, 3), (3, 9, 7), {"cell": "tanh", "recurrence": "outputToHidden"}),
        "frame-norm-training": (
            "batch normalization of the network's input per frame by the batch's statistics",
            layers.FrameNormalization(11), (3, 1, 7, 11), {"training": True}),
        "frame-norm-evaluation": (
            "batch normalization of the network's input per frame by the running statistics",
            layers.FrameNormalization(11), (3, 1, 7, 11), {"training": False}),
        "gru-hard-sigmoid": (
            "gated units with hard sigmoids, reset gate before the recurrent product",
            layers.HardGRU(7, 5), (3, 9, 7),
            {"cell": "gru", "reset": "before", "gate": "hardSigmoid"}),
    }


def results(layer, x, upstream, dtype):
    """One forward and, in training, one backward of a copy of `layer`, computed in `dtype`."""
    layer = copy.deepcopy(layer).to(dtype)
    x = x.to(dtype).requires_grad_()
    output = layer(x)
    if not layer.training:
        return {"output": output.detach()}
    output.backward(upstream.to(dtype))
    after = {f"after.{n}": v for n, v in state(layer).items() if "running" in n}
    return {"output": output.detach(), "gradient.input": x.grad} | gradients(layer) | after


def make(name, sentence, layer, shape, settings, seed):
    draws = Draws(seed)
    fill(layer, draws)
    layer.train(settings.get("training", True))
    x = draws.uniform(shape, -2, 2)
    upstream = draws.uniform(copy.deepcopy(layer)(x).shape, -1, 1)

    exact = results(layer, x, upstream, torch.float64)
    single = results(layer, x, upstream, torch.float32)
    error = {n: rounded(relative_error(single[n], exact[n])) for n in exact}

    tensors = {"input": x} | exact | ({"upstream": upstream} if layer.training else {})
    for n, value in state(layer).items():
        tensors[f"{'before' if 'running' in n else 'parameter'}.{n}"] = value
    metadata = {"case": sentence, "settings": settings, "float32Error": error}
    save_fixture(Path(__file__).parent / f"{name}.safetensors", tensors, metadata, limit=50_000)
    print(f"{name:24} largest float32 error {max(error.values()):.1e}")


@torch.no_grad()
def check_against_torch():
    """The written-out cells equal PyTorch's own where those can express the same."""
    draws = Draws(1)
    x = draws.uniform((3, 9, 7), -2, 2).double()
    pairs = (layers.Tanh, nn.RNN), (layers.LSTM, nn.LSTM), (layers.GRUResetBefore, nn.GRU)
    for ours, theirs in pairs:
        ours, theirs = ours(7, 5).double(), theirs(7, 5, batch_first=True).double()
        fill(ours, draws)
        if isinstance(ours, layers.GRUResetBefore):
            # before and after are the same when the candidate's recurrent matrix is diagonal
            ours.weight_hh_l0[10:] *= torch.eye(5)
        fixed = ours.state_dict() | {"bias_hh_l0": torch.zeros_like(ours.bias_ih_l0)}
        theirs.load_state_dict(fixed)
        torch.testing.assert_close(ours(x), theirs(x)[0], rtol=0, atol=1e-14)


if __name__ == "__main__":
    prepare()
    check_against_torch()
    for seed, (name, case) in enumerate(cases().items()):
        make(name, *case, seed)
