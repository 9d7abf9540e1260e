"""Tutti's networks in PyTorch, as the tables of DESIGN section 5. Dropout is absent (rate 0).

Input [N, 1, 96, 1366], output logits [N, K]. `widths` lists a network's layers in order:
convolutions, then dense or recurrent layers.
"""

import torch
from torch import nn
from torch.nn import functional as F

import layers

BANDS, FRAMES = 96, 1366


class Convolutional(nn.Module):
    """Blocks of convolution, batch normalization, ELU and pool: conv1, bn1, conv2, bn2, ..."""

    kernels: list  # (bands, frames) of every convolution
    pools: list  # (bands, frames) of every pool

    def add_blocks(self, widths, pool):
        self.pool_kind = pool
        inputs = 1
        for i, (width, kernel) in enumerate(zip(widths, self.kernels, strict=True), 1):
            valid = kernel[0] == BANDS
            self.add_module(f"conv{i}", layers.Convolution(inputs, width, kernel, valid, True))
            self.add_module(f"bn{i}", nn.BatchNorm2d(width))
            inputs = width

    def blocks(self, x):
        for i, size in enumerate(self.pools, 1):
            convolve, normalize = self.get_submodule(f"conv{i}"), self.get_submodule(f"bn{i}")
            x = layers.pooling(self.pool_kind, size)(F.elu(normalize(convolve(x))))
        return x


class DenseConvolutional(Convolutional):
    """Blocks, flatten, two dense layers with ELU, output."""

    def __init__(self, widths, tags, pool="max"):
        super().__init__()
        *convolutions, first, second = widths
        self.add_blocks(convolutions, pool)
        self.dense1 = nn.Linear(convolutions[-1] * self.bands_left, first)
        self.dense2 = nn.Linear(first, second)
        self.output = nn.Linear(second, tags)

    def forward(self, x):
        x = self.blocks(x).flatten(1)
        return self.output(F.elu(self.dense2(F.elu(self.dense1(x)))))


class K1C2(DenseConvolutional):
    kernels = 4 * [(1, 4)]
    pools = [(1, 4), (1, 5), (1, 8), (1, 8)]
    bands_left = BANDS


class K2C1(DenseConvolutional):
    kernels = [(BANDS, 4)] + 4 * [(1, 4)]
    pools = [(1, 4), (1, 4), (1, 5), (1, 4), (1, 4)]
    bands_left = 1


class K2C2(Convolutional):
    kernels = 5 * [(3, 3)]
    pools = [(2, 4), (2, 4), (2, 4), (3, 5), (4, 4)]

    def __init__(self, widths, tags, pool="max"):
        super().__init__()
        self.add_blocks(widths, pool)
        self.output = nn.Linear(widths[-1], tags)

    def forward(self, x):
        return self.output(self.blocks(x).flatten(1))


class CRNN(Convolutional):
    """Normalized bands, time zero-padded to 1440, blocks, 15 steps into two GRU layers.

    With `inputNormalization` frame, time is padded first and each frame normalized.
    """

    kernels = 4 * [(3, 3)]
    pools = [(2, 2), (3, 3), (4, 4), (4, 4)]

    def __init__(
        self, widths, tags, pool="max", reset="before", inputNormalization="band", gate="sigmoid"
    ):
        super().__init__()
        *convolutions, first, second = widths
        frames = inputNormalization == "frame"
        self.bn0 = layers.FrameNormalization(1440) if frames else layers.BandNormalization(BANDS)
        self.add_blocks(convolutions, pool)
        self.gru1 = layers.recurrent("gru", convolutions[-1], first, reset, gate)
        self.gru2 = layers.recurrent("gru", first, second, reset, gate)
        self.output = nn.Linear(second, tags)

    def forward(self, x):
        padding = (37, 37)
        if isinstance(self.bn0, layers.FrameNormalization):
            x = self.bn0(F.pad(x, padding))
        else:
            x = F.pad(self.bn0(x), padding)
        steps = self.blocks(x).squeeze(2).transpose(1, 2)  # [N, C, 1, 15] to [N, 15, C]
        return self.output(self.gru2(self.gru1(steps))[:, -1])


class MLP(nn.Module):
    """Normalized bands, averaged over time by `poolFrames`, flatten, two dense layers with ReLU."""

    def __init__(self, widths, tags, poolFrames):
        super().__init__()
        first, second = widths
        self.bn0 = layers.BandNormalization(BANDS)
        self.pool = layers.pooling("average", (1, poolFrames))
        self.dense1 = nn.Linear(BANDS * (FRAMES // poolFrames), first)
        self.dense2 = nn.Linear(first, second)
        self.output = nn.Linear(second, tags)

    def forward(self, x):
        x = self.pool(self.bn0(x)).flatten(1)
        return self.output(F.relu(self.dense2(F.relu(self.dense1(x)))))


class RNN(nn.Module):
    """Normalized bands, averaged over time by `poolFrames`, one recurrent layer over the frames.

    `recurrence` lastStep reads out the last state; everyStep averages the readouts of all states;
    outputToHidden (tanh cells) feeds every readout back, and the last one is the answer.
    """

    def __init__(self, widths, tags, poolFrames, cell, recurrence, reset="before"):
        super().__init__()
        (hidden,) = widths
        self.recurrence = recurrence
        self.bn0 = layers.BandNormalization(BANDS)
        self.pool = layers.pooling("average", (1, poolFrames))
        if recurrence == "outputToHidden":
            assert cell == "tanh"
            self.rnn1 = layers.OutputToHidden(BANDS, hidden, tags)
        else:
            self.rnn1 = layers.recurrent(cell, BANDS, hidden, reset)
        self.output = nn.Linear(hidden, tags)

    def forward(self, x):
        steps = self.pool(self.bn0(x)).squeeze(1).transpose(1, 2)  # [N, 1, 96, T'] to [N, T', 96]
        match self.recurrence:
            case "lastStep":
                return self.output(self.rnn1(steps)[:, -1])
            case "everyStep":
                return self.output(self.rnn1(steps)).mean(1)
            case "outputToHidden":
                return self.rnn1(steps, self.output)[:, -1]


NETWORKS = {"k1c2": K1C2, "k2c1": K2C1, "k2c2": K2C2, "crnn": CRNN, "mlp": MLP, "rnn": RNN}

# The sizes 0.1M, 0.25M, 0.5M, 1M and 3M of DESIGN section 5: widths, and the count of weights and
# biases for 50 tags, batch normalization apart
PUBLISHED = {
    "k1c2": [
        ([15, 15, 31, 31, 31, 31], 101_635),
        ([24, 24, 49, 49, 49, 49], 252_349),
        ([35, 35, 69, 69, 69, 69], 499_407),
        ([49, 49, 98, 98, 98, 98], 1_004_452),
        ([85, 85, 170, 170, 170, 170], 3_015_340),
    ],
    "k2c1": [
        ([43, 43, 43, 87, 87, 87, 87], 96_559),
        ([72, 72, 72, 145, 145, 145, 145], 245_126),
        ([106, 106, 106, 212, 212, 212, 212], 501_960),
        ([152, 152, 152, 304, 304, 304, 304], 999_450),
        ([265, 265, 265, 535, 535, 535, 535], 2_977_745),
    ],
    "k2c2": [
        ([20, 41, 41, 62, 83], 96_328),
        ([33, 66, 66, 100, 133], 245_301),
        ([47, 95, 95, 142, 190], 496_182),
        ([67, 135, 135, 203, 271], 1_002_206),
        ([118, 236, 236, 355, 473], 3_043_331),
    ],
    "crnn": [
        ([30, 60, 60, 60, 30, 30], 96_710),
        ([48, 96, 96, 96, 48, 48], 245_426),
        ([68, 137, 137, 137, 68, 68], 496_199),
        ([96, 195, 195, 195, 96, 96], 999_005),
        ([169, 339, 339, 339, 169, 169], 3_025_340),
    ],
}


def check_published_sizes():
    for name, sizes in PUBLISHED.items():
        for widths, count in sizes:
            with torch.device("meta"):
                network = NETWORKS[name](widths, tags=50)
            parameters = network.named_parameters()
            found = sum(p.numel() for n, p in parameters if not n.startswith("bn"))
            assert found == count, f"{name} {widths}: {found} weights and biases, expected {count}"
