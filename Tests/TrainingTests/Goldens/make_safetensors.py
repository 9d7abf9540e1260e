"""Makes python.safetensors, which SafetensorsTests reads. Made with numpy 2.4.6, safetensors 0.8.0.

    pip install numpy==2.4.6 safetensors==0.8.0
    python make_safetensors.py            # writes python.safetensors beside this script
    python make_safetensors.py FILE...    # checks files that Tutti wrote: opens and lists each
"""
import hashlib
import pathlib
import sys

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file


def tensors():
    return {
        "conv1.weight": (np.arange(24, dtype=np.float32) / 7).reshape(2, 1, 3, 4),
        "conv1.bias": np.array([-0.0, np.inf, 1e-45], dtype=np.float32),
        "adam.beta": np.array([0.9, 1 / 3], dtype=np.float64),
        "bn1.num_batches_tracked": np.array(-5, dtype=np.int64),
        "empty": np.zeros((0, 3), dtype=np.float32),
    }


def check(path):
    data = bytearray(pathlib.Path(path).read_bytes())
    length = int.from_bytes(data[:8], "little")
    assert length % 8 == 0, "the header is not padded"
    with safe_open(path, "np") as file:
        metadata = file.metadata() or {}
        for name in file.keys():
            array = file.get_tensor(name)
            print(name, array.dtype, list(array.shape), np.asarray(array, "f8").ravel()[:4].tolist())
    print(metadata)
    if "checksum" in metadata:
        start = data.index(metadata["checksum"].encode())
        data[start : start + 64] = b"0" * 64
        assert hashlib.blake2b(data, digest_size=32).hexdigest() == metadata["checksum"]
        print("checksum agrees")


if len(sys.argv) > 1:
    for path in sys.argv[1:]:
        check(path)
else:
    metadata = {"step": "12", "tags": '["rock", "ぽっぷ", "a\\"b"]', "line": "a\nb\tc\u0001"}
    save_file(tensors(), pathlib.Path(__file__).with_name("python.safetensors"), metadata)
