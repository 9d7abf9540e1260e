"""The measurements of cluster/bench-peers, each in a process of its own.

What a step is, for both: forward pass in training, binary cross-entropy, backward pass, Adam. Both
have their data in memory, draw dropout, and keep running statistics; the fastest step counts.
PyTorch runs in its best mode, which a trial of each finds, with an allocator that keeps its memory:
untuned it would be far slower, and the comparison worth nothing. Inference: ONNX Runtime with the
exported network, at its best batch, beside Tutti's forward pass of four clips.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BENCH = ROOT / ".build/release/bench"
TUTTI = ROOT / ".build/release/tutti"

BANDS, FRAMES, TAGS = 96, 1366, 50
BATCH = 16
WARM_UP = 3
# Convolutions, then dense or recurrent layers; the GRU is PyTorch's, with the reset after the
# product.
WIDTHS = {
    "k1c2": {"0.25M": [24, 24, 49, 49, 49, 49], "1M": [49, 49, 98, 98, 98, 98]},
    "k2c1": {"0.25M": [72, 72, 72, 145, 145, 145, 145], "1M": [152, 152, 152, 304, 304, 304, 304]},
    "k2c2": {"0.25M": [33, 66, 66, 100, 133], "1M": [67, 135, 135, 203, 271]},
    "crnn": {
        "0.25M": [48, 96, 96, 96, 48, 48],
        "1M": [96, 195, 195, 195, 96, 96],
        "3M": [169, 339, 339, 339, 169, 169],
    },
}
SETTINGS = {"crnn": ["--set", "model.reset=after"]}

# Memory is kept once it is had, in huge pages; a batch's largest map stays below the threshold.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(4 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    "THP_MEM_ALLOC_ENABLE": "1",
}
MODES = ["eager", "channels-last", "compiled", "compiled channels-last"]
INFERENCE_BATCHES = [1, 4, 16]


def say(text):
    print(f"bench-peers: {text}", file=sys.stderr, flush=True)


# Measured inside a process of its own


def peak_memory():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024


def torch_network(name, size):
    import torch
    from torch import nn

    def block(inputs, outputs, kernel, pool, dropout=0.0):
        if kernel[0] == BANDS:  # as wide as the input, but not as high
            layers = [nn.ZeroPad2d((1, 2, 0, 0)), nn.Conv2d(inputs, outputs, kernel)]
        else:
            layers = [nn.Conv2d(inputs, outputs, kernel, padding="same")]
        layers += [nn.BatchNorm2d(outputs), nn.ELU(), nn.MaxPool2d(pool)]
        return layers + ([nn.Dropout(dropout)] if dropout else [])

    def blocks(widths, kernels, pools, dropout=0.0):
        layers = []
        for i, (kernel, pool) in enumerate(zip(kernels, pools, strict=True)):
            layers += block(widths[i - 1] if i else 1, widths[i], kernel, pool, dropout)
        return nn.Sequential(*layers)

    def head(inputs, widths):
        layers = [nn.Flatten()]
        for width in widths:
            layers += [nn.Linear(inputs, width), nn.ELU(), nn.Dropout(0.5)]
            inputs = width
        return nn.Sequential(*layers, nn.Linear(inputs, TAGS))

    class CRNN(nn.Module):
        def __init__(self, widths):
            super().__init__()
            self.bands = nn.BatchNorm1d(BANDS)
            self.pad = nn.ZeroPad2d((37, 37, 0, 0))
            pools = [(2, 2), (3, 3), (4, 4), (4, 4)]
            self.blocks = blocks(widths[:4], 4 * [(3, 3)], pools, 0.1)
            self.gru1 = nn.GRU(widths[3], widths[4], batch_first=True)
            self.gru2 = nn.GRU(widths[4], widths[5], batch_first=True)
            self.output = nn.Linear(widths[5], TAGS)

        def forward(self, x):
            x = self.pad(self.bands(x.squeeze(1)).unsqueeze(1))
            steps = self.blocks(x).squeeze(2).transpose(1, 2)
            return self.output(self.gru2(self.gru1(steps)[0])[0][:, -1])

    widths = WIDTHS[name][size]
    torch.manual_seed(1)
    if name == "k1c2":
        pools = [(1, 4), (1, 5), (1, 8), (1, 8)]
        convolutions = blocks(widths[:4], 4 * [(1, 4)], pools)
        return nn.Sequential(convolutions, head(widths[3] * BANDS, widths[4:]))
    if name == "k2c1":
        pools = [(1, 4), (1, 4), (1, 5), (1, 4), (1, 4)]
        convolutions = blocks(widths[:5], [(BANDS, 4)] + 4 * [(1, 4)], pools)
        return nn.Sequential(convolutions, head(widths[4], widths[5:]))
    if name == "k2c2":
        pools = [(2, 4), (2, 4), (2, 4), (3, 5), (4, 4)]
        return nn.Sequential(blocks(widths, 5 * [(3, 3)], pools), head(widths[4], []))
    return CRNN(widths)


def count_weights(network):
    """Weights and biases, normalization apart, as the published sizes count them."""
    from torch import nn

    normalizations = (nn.BatchNorm1d, nn.BatchNorm2d)
    modules = (m for m in network.modules() if not isinstance(m, normalizations))
    return sum(p.numel() for m in modules for p in m.parameters(recurse=False))


def measure_count(job):
    return {"weightsAndBiases": count_weights(torch_network(job["network"], job["size"]))}


def fastest(body, warm_up, count):
    for _ in range(warm_up):
        body()
    times = []
    for _ in range(count):
        start = time.perf_counter()
        body()
        times.append(time.perf_counter() - start)
    return min(times)


def measure_training(job):
    import torch

    torch.set_num_threads(job["threads"])
    torch.set_num_interop_threads(1)
    network = torch_network(job["network"], job["size"]).train()
    clips = -18 + 15 * torch.randn(BATCH, 1, BANDS, FRAMES)
    labels = (torch.rand(BATCH, TAGS) < 0.1).float()
    if "channels-last" in job["mode"]:
        network = network.to(memory_format=torch.channels_last)
        clips = clips.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    loss = torch.nn.BCEWithLogitsLoss()
    forward = torch.compile(network) if "compiled" in job["mode"] else network

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss(forward(clips), labels).backward()
        optimizer.step()

    seconds = fastest(step, job["warmUp"], job["steps"])
    return {"clipsPerSecond": BATCH / seconds, "peakMemoryBytes": peak_memory()}


def measure_export(job):
    import torch

    network = torch.nn.Sequential(torch_network(job["network"], job["size"]), torch.nn.Sigmoid())
    clips = torch.zeros(job["batch"], 1, BANDS, FRAMES)
    # The exporter that knows the GRU as one operation, and folds the normalization.
    torch.onnx.export(
        network.eval(),
        (clips,),
        job["file"],
        dynamo=False,
        input_names=["clips"],
        output_names=["probabilities"],
        opset_version=17,
    )
    return {}


def measure_inference(job):
    import numpy
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(job["file"], options, ["CPUExecutionProvider"])
    shape = (job["batch"], 1, BANDS, FRAMES)
    clips = (-18 + 15 * numpy.random.default_rng(1).standard_normal(shape)).astype("float32")
    seconds = fastest(lambda: session.run(None, {"clips": clips}), job["warmUp"], job["steps"])
    return {"clipsPerSecond": job["batch"] / seconds, "peakMemoryBytes": peak_memory()}


def measure_allreduce(job):
    """One of several processes that sum a vector with gloo; the first one's median counts."""
    import statistics

    import torch
    from torch import distributed

    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{job['file']}", rank=job["rank"], world_size=job["workers"]
    )
    vector = torch.ones(job["count"])
    times = []
    for _ in range(3 + job["steps"]):
        distributed.barrier()
        start = time.perf_counter()
        distributed.all_reduce(vector)
        times.append(time.perf_counter() - start)
    distributed.destroy_process_group()
    return {"seconds": statistics.median(times[3:])}


MEASUREMENTS = {
    "allreduce": measure_allreduce,
    "count": measure_count,
    "training": measure_training,
    "export": measure_export,
    "inference": measure_inference,
}


# What starts these processes


class Failed(Exception):
    pass


def run(command, environment=None):
    process = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env=environment
    )
    if process.returncode != 0:
        lines = process.stderr.strip().splitlines() or [f"status {process.returncode}"]
        raise Failed(lines[-1])
    return process.stdout


def environment_of(job):
    threads = str(job.get("threads", os.cpu_count()))
    cores = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    return {**os.environ, **ALLOCATOR, **cores}


def peer(job):
    command = [sys.executable, __file__, "--measure", json.dumps(job)]
    return json.loads(run(command, environment_of(job)).splitlines()[-1])


def tutti(network, size, threads, only, passes):
    command = [BENCH, "step", "--json", "--network", network, "--size", size]
    command += ["--threads", threads, "--clips", BATCH, "--only", only, "--passes", passes]
    result = json.loads(run(command + SETTINGS.get(network, [])))
    rate, memory = {
        "train": ("trainClipsPerSecond", "peakMemoryBytes"),
        "inference": ("inferenceClipsPerSecond", "inferencePeakMemoryBytes"),
    }[only]
    return {"clipsPerSecond": result[rate], "peakMemoryBytes": result[memory]}


def require_equal_networks(network, size):
    """Refuses to compare networks of different sizes: neither figure would mean anything."""
    command = [TUTTI, "inspect", ROOT / f"configs/{network}.yaml", "--tags", TAGS]
    text = run(command + ["--set", f"model.size={size}"] + SETTINGS.get(network, []))
    label = "weights and biases:"
    ours = next(int(line.split()[-1]) for line in text.splitlines() if line.startswith(label))
    theirs = peer({"measure": "count", "network": network, "size": size})["weightsAndBiases"]
    if ours != theirs:
        raise Failed(f"{network} {size}: {label} {ours} in Tutti, {theirs} in PyTorch")
    return ours


def in_turns(rounds, **measures):
    """Each in turn, `rounds` times: the speed of its fastest run, the memory of its leanest."""
    best = {}
    for number in range(1, rounds + 1):
        for name, measure in measures.items():
            result = measure()
            first = best.setdefault(name, result)
            best[name] = {
                "clipsPerSecond": max(first["clipsPerSecond"], result["clipsPerSecond"]),
                "peakMemoryBytes": min(first["peakMemoryBytes"], result["peakMemoryBytes"]),
            }
        rates = ", ".join(f"{name} {of['clipsPerSecond']:.2f}" for name, of in best.items())
        say(f"  round {number} of {rounds}: {rates} clips/s")
    return best


def fastest_of(what, candidates, measure):
    """The candidate of the best trial; those that do not work here are left out."""
    rates = {}
    for candidate in candidates:
        try:
            rates[candidate] = measure(candidate)["clipsPerSecond"]
            say(f"  trial of {what} {candidate}: {rates[candidate]:.2f} clips/s")
        except Failed as error:
            say(f"  {what} {candidate} does not work here: {error}")
    if not rates:
        raise Failed("no mode works")
    return max(rates, key=rates.get), rates


def compare(network, size, threads, arguments, folder):
    job = {"network": network, "size": size, "threads": threads, "warmUp": WARM_UP}
    steps, rounds = arguments.steps, arguments.rounds

    say(f"{network} {size}, threads {threads}: training")
    training = {**job, "measure": "training", "steps": steps}
    trial = {**training, "warmUp": 1, "steps": 1 if arguments.quick else 2}
    mode, trials = fastest_of("mode", MODES, lambda mode: peer({**trial, "mode": mode}))
    trained = in_turns(
        rounds,
        tutti=lambda: tutti(network, size, threads, "train", steps),
        pytorch=lambda: peer({**training, "mode": mode}),
    )

    say(f"{network} {size}, threads {threads}: inference")
    inference = {**job, "measure": "inference", "steps": 4 * steps}

    def session(batch, **changes):
        file = f"{folder}/{network}-{size}-{batch}.onnx"
        if not os.path.exists(file):
            peer({**job, "measure": "export", "batch": batch, "file": file})
        return peer({**inference, "batch": batch, "file": file, **changes})

    batch, _ = fastest_of(
        "batch", INFERENCE_BATCHES, lambda batch: session(batch, warmUp=1, steps=2)
    )
    inferred = in_turns(
        rounds,
        tutti=lambda: tutti(network, size, threads, "inference", 4 * steps),
        onnxruntime=lambda: session(batch),
    )
    return {
        "network": network,
        "size": size,
        "threads": threads,
        "training": {**trained, "mode": mode, "trials": trials},
        "inference": {**inferred, "batch": batch},
    }


def gloo(workers, count, steps):
    with tempfile.TemporaryDirectory() as folder:
        jobs = [
            {
                "measure": "allreduce",
                "file": f"{folder}/meeting",
                "rank": rank,
                "workers": workers,
                "count": count,
                "steps": steps,
                "threads": 1,
            }
            for rank in range(workers)
        ]
        processes = [
            subprocess.Popen(
                [sys.executable, __file__, "--measure", json.dumps(job)],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=environment_of(job),
            )
            for job in jobs
        ]
        outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise Failed("gloo does not work here")
    return json.loads(outputs[0].splitlines()[-1])["seconds"]


def compare_exchange(workers, count, rounds, steps=50):
    """Weights out and gradients in, beside gloo's sum of a vector of that length: median times.

    Of ours, as among workers of one machine, who share memory, and in frames over TCP; gloo's processes
    speak TCP. There a worker has one vector and gets the sum of all; here it has one vector, the
    coordinator gets the sum, and every worker the new weights.
    """
    command = [BENCH, "allreduce", "--json", "--workers", workers, "--lanes", workers]
    command += ["--parameters", count, "--steps", steps]
    ours, frames, seconds = [], [], []
    for _ in range(rounds):
        ours.append(json.loads(run(command))["medianSeconds"])
        seconds.append(gloo(workers, count, steps))
        frames.append(json.loads(run(command + ["--frames"])))
    best = min(frames, key=lambda exchange: exchange["medianSeconds"])
    result = {
        "workers": workers,
        "parameters": count,
        "seconds": min(ours),
        "glooSeconds": min(seconds),
        "framesSeconds": best["medianSeconds"],
        "framesToLowerBound": best["ratioToLowerBound"],
    }
    say(", ".join(f"{name} {value:.4g}" for name, value in result.items()))
    return result


def exchange_table(results):
    lines = [
        "| workers | vector | exchange | gloo | ratio | in frames | ratio | to lower bound |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for of in results:
        cells = [
            of["workers"],
            f"{4e-6 * of['parameters']:.0f} MB",
            f"{1000 * of['seconds']:.1f} ms",
            f"{1000 * of['glooSeconds']:.1f} ms",
            f"**{of['glooSeconds'] / of['seconds']:.2f}**",
            f"{1000 * of['framesSeconds']:.1f} ms",
            f"{of['glooSeconds'] / of['framesSeconds']:.2f}",
            f"{of['framesToLowerBound']:.1f}",
        ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def table(results):
    lines = [
        "| network | size | threads | training, clips/s | PyTorch | ratio | memory | PyTorch "
        "| inference, clips/s | ONNX Runtime | ratio | memory | ONNX Runtime |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        cells = [result["network"], result["size"], result["threads"]]
        for kind, other in [("training", "pytorch"), ("inference", "onnxruntime")]:
            ours, theirs = result[kind]["tutti"], result[kind][other]
            how = result[kind].get("mode") or f"batch {result[kind]['batch']}"
            cells += [
                f"{ours['clipsPerSecond']:.3g}",
                f"{theirs['clipsPerSecond']:.3g} ({how})",
                f"**{ours['clipsPerSecond'] / theirs['clipsPerSecond']:.2f}**",
                f"{ours['peakMemoryBytes'] / 1e6:.0f} MB",
                f"{theirs['peakMemoryBytes'] / 1e6:.0f} MB",
            ]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


class Parser(argparse.ArgumentParser):
    def error(self, message):
        say(f"{message}; see --help")
        sys.exit(64)


def parse():
    parser = Parser(prog="bench-peers", description="Tutti beside PyTorch and ONNX Runtime.")
    add = parser.add_argument
    add("--network", action="append", choices=WIDTHS, help="only this, or these (default: all)")
    sizes = ["0.25M", "1M", "3M"]
    add(
        "--size", action="append", choices=sizes, help="only this, or these; 3M: crnn on one thread"
    )
    add("--threads", action="append", type=int, help="only this, or these (default: 1 and 2)")
    add("--steps", type=int, help="steps timed in a process, after three that are not (default: 3)")
    add("--rounds", type=int, help="turns that each takes (default: 2)")
    add("--quick", action="store_true", help="one round of two steps, without 3M")
    add("--allreduce", action="store_true", help="set gloo beside a step's exchange")
    add("--json", action="store_true", help="one JSON object instead of a table")
    add("--environment", help="folder of the Python environment, kept")
    add("--check", action="store_true", help=argparse.SUPPRESS)
    add("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.steps is None:
        arguments.steps = 2 if arguments.quick else 3
    if arguments.rounds is None:
        arguments.rounds = 1 if arguments.quick else 2
    if min(arguments.steps, arguments.rounds, *(arguments.threads or [1])) < 1:
        parser.error("--steps, --rounds and --threads must be positive")
    return arguments


def cases(arguments):
    sizes = arguments.size or (["0.25M", "1M"] if arguments.quick else ["0.25M", "1M", "3M"])
    for size in sizes:
        for network in arguments.network or WIDTHS:
            for threads in arguments.threads or [1, 2]:
                if size in WIDTHS[network] and (size != "3M" or threads == 1):
                    yield network, size, threads


def measure_networks(todo, arguments):
    for network, size in dict.fromkeys(case[:2] for case in todo):
        count = require_equal_networks(network, size)
        say(f"{network} {size}: {count} weights and biases in both")
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(todo):
            say(f"{number + 1} of {len(todo)}")
            results.append(compare(*case, arguments, folder))
    return results


def measure_exchanges(arguments):
    sizes = [(workers, count) for count in (250_000, 3_000_000) for workers in (2, 4)]
    return [compare_exchange(workers, count, arguments.rounds) for workers, count in sizes]


def processor():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return os.uname().machine


def main():
    arguments = parse()
    if arguments.measure:
        job = json.loads(arguments.measure)
        print(json.dumps(MEASUREMENTS[job["measure"]](job)))
        return
    todo = list(cases(arguments))
    if not todo:
        say("there is nothing to measure: 3M is of crnn on one thread alone")
        sys.exit(64)
    if arguments.check:
        return
    from importlib.metadata import version

    try:
        if arguments.allreduce:
            results = measure_exchanges(arguments)
        else:
            results = measure_networks(todo, arguments)
    except Failed as error:
        say(str(error))
        sys.exit(70)
    about = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "batch": BATCH,
        "torch": version("torch"),
        "onnxruntime": version("onnxruntime"),
        "loadAverage": os.getloadavg()[0],
    }
    if arguments.json:
        print(json.dumps({**about, "results": results}))
        return
    print((exchange_table if arguments.allreduce else table)(results))
    print("\n" + ", ".join(f"{name} {value}" for name, value in about.items()))


if __name__ == "__main__":
    main()
