"""Weights as other programs save them, and what their networks say: files beside this script.

    pip install torch==2.13.0+cpu numpy==2.4.6 safetensors==0.8.0
    python -W error make_import.py             # writes the fixtures
    python -W error make_import.py FILE        # checks a file that `tutti import` made of pytorch.safetensors

    pytorch.safetensors   the state_dict of a small CRNN written with torch.nn alone, after a few steps
                          of training: GRUs with two biases, num_batches_tracked, no metadata
    gates.safetensors     a small CRNN with normalized frames and hard sigmoids; its GRUs' matrices
                          stand apart, gate by gate, and its metadata has `tags`: as the published
                          weights of the CRNN were converted
    answers.safetensors   `pytorch` and `gates`: their probabilities [3, 7] in evaluation, computed in
                          float64 from the weights saved

The clips are those of the goldens of whole networks (`batch` in make_goldens.py).
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import nn
from torch.nn import functional as F

folder = Path(__file__).resolve().parent
sys.path.insert(0, str(folder.parent / "torch"))

import make_goldens as goldens
from fixture import Draws, fill, prepare, save_fixture, with_sorted_metadata
from networks import CRNN as Ours

WIDTHS, STEPS = [3, 5, 4, 3, 5, 4], 8
TAGS = ["rock", "pop", "jazz", "soul", "folk", "Hip-Hop", "60s"]


class CRNN(nn.Module):
    """Normalized bands, four convolutions, two GRUs, as a user of PyTorch writes them."""

    def __init__(self):
        super().__init__()
        a, b, c, d, first, second = WIDTHS
        self.bn0 = nn.BatchNorm1d(96)
        self.conv1, self.bn1 = nn.Conv2d(1, a, 3, padding=1), nn.BatchNorm2d(a)
        self.conv2, self.bn2 = nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b)
        self.conv3, self.bn3 = nn.Conv2d(b, c, 3, padding=1), nn.BatchNorm2d(c)
        self.conv4, self.bn4 = nn.Conv2d(c, d, 3, padding=1), nn.BatchNorm2d(d)
        self.gru1 = nn.GRU(d, first, batch_first=True)
        self.gru2 = nn.GRU(first, second, batch_first=True)
        self.output = nn.Linear(second, len(TAGS))

    def forward(self, x):
        x = F.pad(self.bn0(x[:, 0]), (37, 37))[:, None]
        x = F.max_pool2d(F.elu(self.bn1(self.conv1(x))), (2, 2))
        x = F.max_pool2d(F.elu(self.bn2(self.conv2(x))), (3, 3))
        x = F.max_pool2d(F.elu(self.bn3(self.conv3(x))), (4, 4))
        x = F.max_pool2d(F.elu(self.bn4(self.conv4(x))), (4, 4))
        steps = x[:, :, 0].transpose(1, 2)
        return self.output(self.gru2(self.gru1(steps)[0])[0][:, -1])


def trained():
    torch.manual_seed(5)
    network = CRNN()
    x, labels = (tensor.float() for tensor in goldens.batch())
    adam = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(STEPS):
        adam.zero_grad()
        F.binary_cross_entropy_with_logits(network(x), labels).backward()
        adam.step()
    return network.eval()


def untrained():
    """Every parameter and statistic drawn; the scale of the clips is in the first statistics."""
    network = Ours(WIDTHS, len(TAGS), inputNormalization="frame", gate="hardSigmoid")
    draws = Draws(3)
    fill(network, draws, gain=1.5)
    network.bn0.running_mean.copy_(draws.uniform((1440,), -50, -30))
    network.bn0.running_var.copy_(draws.uniform((1440,), 100, 300))
    return network.eval()


def by_gate(state):
    """The tensors of GRUs cut into those of r, z and h, under the names of the published weights."""
    letters = {"weight_ih_l0": "w", "weight_hh_l0": "u", "bias_ih_l0": "b"}
    cut = {}
    for name, value in state.items():
        layer, tensor = name.rsplit(".", 1)
        if tensor in letters:
            for gate, part in zip("rzh", value.chunk(3)):
                cut[f"{layer}.{letters[tensor]}_{gate}"] = part.contiguous()
        elif tensor != "num_batches_tracked":
            cut[f"fc.{tensor}" if layer == "output" else name] = value
    return cut


@torch.no_grad()
def probabilities(network):
    return torch.sigmoid(network.double()(goldens.batch()[0]))


def write():
    pytorch, gates = trained(), untrained()
    (folder / "pytorch.safetensors").write_bytes(save(pytorch.state_dict()))
    metadata = {"tags": json.dumps(TAGS)}
    (folder / "gates.safetensors").write_bytes(
        with_sorted_metadata(save(by_gate(gates.state_dict()), metadata)))
    answers = {"pytorch": probabilities(pytorch), "gates": probabilities(gates)}
    for name, values in answers.items():
        print(name, values.numpy().round(3).tolist())
        assert values.std(0).max() > 0.01, f"{name}: the clips are all the same to it"
    save_fixture(folder / "answers.safetensors", answers, {"clips": goldens.CLIPS}, limit=5_000)


def check(path):
    """PyTorch takes Tutti's file, strictly by names, and the network says the same."""
    network = CRNN()
    network.load_state_dict(load_file(path), strict=True)
    expected = load_file(folder / "answers.safetensors")["pytorch"]
    difference = (probabilities(network.eval()) - expected).abs().max().item()
    print(f"{path}: probabilities differ by {difference:.1e} at most")
    assert difference < 1e-6


if __name__ == "__main__":
    prepare()
    check(sys.argv[1]) if len(sys.argv) > 1 else write()
