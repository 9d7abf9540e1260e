"""Tutti's layers in PyTorch, each written out as DESIGN section 5 defines it.

Activations are [N, C, F, T]: clips, channels, bands, frames. Sequences are [N, steps, features];
a recurrent layer gives its outputs at every step, and starts from zeros.
Parameters have PyTorch's names, and its order of gates. Dropout is absent (rate 0).
"""

import torch
from torch import nn
from torch.nn import functional as F


class Convolution(nn.Conv2d):
    """Cross-correlation with "same" padding; an even kernel's extra zero is on the right.

    `valid_bands` leaves the band axis unpadded. The bias is held fixed where batch normalization
    follows: it has no effect there, so its gradient is zero by definition, not rounding noise.
    """

    def __init__(self, inputs, outputs, kernel, valid_bands=False, fixed_bias=False):
        super().__init__(inputs, outputs, kernel)
        bands, frames = kernel
        left, right = (frames - 1) // 2, frames // 2
        above, below = (0, 0) if valid_bands else ((bands - 1) // 2, bands // 2)
        self.same_padding = (left, right, above, below)
        self.bias.requires_grad_(not fixed_bias)

    def forward(self, x):
        return super().forward(F.pad(x, self.same_padding))


def pooling(kind, size):
    """A pool of `size` (bands, frames), `max` or `average`, that drops incomplete windows."""
    return {"max": nn.MaxPool2d, "average": nn.AvgPool2d}[kind](size)


class BandNormalization(nn.BatchNorm1d):
    """Batch normalization of [N, 1, F, T] per band, over clips and frames."""

    def forward(self, x):
        return super().forward(x.squeeze(1)).unsqueeze(1)


class FrameNormalization(nn.BatchNorm1d):
    """Batch normalization of [N, 1, F, T] per frame, over clips and bands."""

    def forward(self, x):
        return super().forward(x.squeeze(1).transpose(1, 2)).transpose(1, 2).unsqueeze(1)


def hard_sigmoid(x):
    """Keras's, not PyTorch's, whose slope is 1/6."""
    return torch.clamp(0.2 * x + 0.5, 0, 1)


class Recurrent(nn.Module):
    """A recurrent layer with one bias per gate. A cell says how a state follows from the last."""

    gates = 1

    def __init__(self, inputs, hidden):
        super().__init__()
        self.hidden = hidden
        self.weight_ih_l0 = nn.Parameter(torch.empty(self.gates * hidden, inputs))
        self.weight_hh_l0 = nn.Parameter(torch.empty(self.gates * hidden, hidden))
        self.bias_ih_l0 = nn.Parameter(torch.empty(self.gates * hidden))

    def forward(self, x):
        projected = F.linear(x, self.weight_ih_l0, self.bias_ih_l0)
        state = self.start(x.new_zeros(len(x), self.hidden))
        outputs = []
        for step in projected.unbind(1):
            output, state = self.cell(step, state)
            outputs.append(output)
        return torch.stack(outputs, 1)

    def start(self, zeros):
        return zeros


class Tanh(Recurrent):
    """h = tanh(W x + U h + b)"""

    def cell(self, x, h):
        h = torch.tanh(x + h @ self.weight_hh_l0.T)
        return h, h


class GRUResetBefore(Recurrent):
    """The gated unit of Cho et al. 2014: the reset gate is applied before the recurrent product.

    r, z = sigmoid(W x + U h + b), n = tanh(W x + U (r * h) + b), h = (1 - z) * n + z * h
    """

    gates = 3
    squash = staticmethod(torch.sigmoid)

    def cell(self, x, h):
        x_r, x_z, x_n = x.chunk(3, 1)
        u_r, u_z, u_n = self.weight_hh_l0.chunk(3)
        r = self.squash(x_r + h @ u_r.T)
        z = self.squash(x_z + h @ u_z.T)
        n = torch.tanh(x_n + (r * h) @ u_n.T)
        h = (1 - z) * n + z * h
        return h, h


class HardGRU(GRUResetBefore):
    """The same with hard sigmoids for r and z."""

    squash = staticmethod(hard_sigmoid)


class GRUResetAfter(nn.GRU):
    """PyTorch's own form: n = tanh(W x + b + r * (U h + c)), with a second bias c per gate."""

    def __init__(self, inputs, hidden):
        super().__init__(inputs, hidden, batch_first=True)

    def forward(self, x):
        return super().forward(x)[0]


class LSTM(Recurrent):
    """i, f, o = sigmoid(W x + U h + b), g = tanh(W x + U h + b)

    c = f * c + i * g, h = o * tanh(c)
    """

    gates = 4

    def start(self, zeros):
        return zeros, zeros

    def cell(self, x, state):
        h, c = state
        i, f, g, o = (x + h @ self.weight_hh_l0.T).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)


class OutputToHidden(nn.Module):
    """What comes back is the last output: h = tanh(W x + U o + b). `readout` turns h into o."""

    def __init__(self, inputs, hidden, outputs):
        super().__init__()
        self.weight_ih_l0 = nn.Parameter(torch.empty(hidden, inputs))
        self.weight_oh_l0 = nn.Parameter(torch.empty(hidden, outputs))
        self.bias_ih_l0 = nn.Parameter(torch.empty(hidden))

    def forward(self, x, readout):
        output = x.new_zeros(len(x), readout.out_features)
        outputs = []
        for step in F.linear(x, self.weight_ih_l0, self.bias_ih_l0).unbind(1):
            output = readout(torch.tanh(step + output @ self.weight_oh_l0.T))
            outputs.append(output)
        return torch.stack(outputs, 1)


def recurrent(cell, inputs, hidden, reset="before", gate="sigmoid"):
    gru = {
        ("before", "sigmoid"): GRUResetBefore, ("after", "sigmoid"): GRUResetAfter,
        ("before", "hardSigmoid"): HardGRU}[reset, gate]
    return {"tanh": Tanh, "gru": gru, "lstm": LSTM}[cell](inputs, hidden)
