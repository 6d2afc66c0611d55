"""Right answers in fresh processes on a slow machine: how many are refused, and how many processes die?

    python tests/fresh_processes.py --processes 200 --at-once 6 --busy 4

Each process is the first to touch what PyTorch loads late (optimizers, torch.func, hooks), runs at the lowest priority, and shares its core with busy loops and with the others. Each checks one right
answer, written to a file as a learner would, with a limit of a second of computing, and then makes an optimizer of its own: it must not find half a module.
"""

import argparse
import collections
import os
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# One answer of each lesson, in its own words: some of them load a lot of PyTorch.
ANSWERS = {
    "00.margin": "def answer(probs):\n    r = probs.sort(descending=True).values\n    return float(r[0] - r[1])",
    "01.batch_sizes": (
        "def answer(n, batch_size, drop_last=False):\n"
        "    sizes = [len(range(n)[i : i + batch_size]) for i in range(0, n, batch_size)]\n"
        "    return [s for s in sizes if s == batch_size or not drop_last]"
    ),
    "02.pooling_weight": (
        "def answer(channels, size):\n"
        "    weight = torch.zeros(channels, channels, size, size)\n"
        "    for i in range(channels):\n        weight[i, i] = 1 / size**2\n    return weight"
    ),
    "03.same_padding": "answer = lambda kernel_size, dilation=1: dilation * (kernel_size - 1) // 2",
    "04.mended_net": (
        "class answer(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n"
        "        self.convs = nn.ModuleList([nn.Conv2d(1, 4, 3), nn.Conv2d(4, 8, 3)])\n"
        "        self.fc = nn.Linear(8 * 12 * 12, 10)\n"
        "    def forward(self, x):\n        for conv in self.convs:\n            x = F.relu(conv(x))\n"
        "        return F.log_softmax(self.fc(F.max_pool2d(x, 2).flatten(1)), dim=1)"
    ),
    "05.logit_slopes": (
        "def answer(logits, target):\n"
        "    return torch.func.grad(lambda z: F.cross_entropy(z, target))(logits)"
    ),
    "07.decoupled_step": (
        "def answer(w, g, v, lr, momentum, decay):\n"
        "    w = w.clone().requires_grad_()\n    w.grad = g.clone()\n"
        "    opt = torch.optim.SGD([w], lr=lr, momentum=momentum)\n"
        "    opt.state[w]['momentum_buffer'] = v.clone()\n"
        "    pull = lr * decay * w.detach()\n    opt.step()\n"
        "    v = opt.state[w]['momentum_buffer'].detach() if momentum else g\n"
        "    return (w.detach() - pull, v)"
    ),
    "08.loop_order": "answer = 'FCEDAB'",
    "08.train_in_parts": (
        "def answer(model, optimizer, batches, every):\n"
        "    for start in range(0, len(batches), every):\n"
        "        group = batches[start : start + every]\n        n = sum(len(y) for _, y in group)\n"
        "        optimizer.zero_grad()\n        for x, y in group:\n"
        "            (F.nll_loss(model(x), y, reduction='sum') / n).backward()\n        optimizer.step()"
    ),
    "09.f1_scores": (
        "def answer(matrix):\n    m = matrix.double()\n    below = m.sum(0) + m.sum(1)\n"
        "    return torch.where(below > 0, 2 * m.diag() / below.clamp(min=1), below).float()"
    ),
    "10.cosine": "answer = COURSE['10.cosine'].solution",
    "11.slant": "answer = COURSE['11.slant'].solution",
    "12.first_bad": "answer = COURSE['12.first_bad'].solution",
    "13.averaged": "answer = COURSE['13.averaged'].solution",
    "14.one_cycle": "answer = COURSE['14.one_cycle'].solution",
    "15.eight_bits": "answer = COURSE['15.eight_bits'].solution",
}
CODE = """
import sys
import time
import torch
import torch.nn.functional as F
from torch import nn
from mnist_course.checks import COURSE, check
{answer}
COURSE[{id!r}].time_limit = 1.0
start = time.monotonic()
result = check({id!r}, answer)
took = time.monotonic() - start
if "torch._dynamo" in sys.modules:  # all of it must be there
    torch.optim.SGD([nn.Parameter(torch.zeros(2))], lr=0.1).step()
print("RESULT", result.status, f"{{took:.1f}}", "|", " ".join(result.message.split()))
"""


def one(id: str, folder: Path) -> str:
    "What became of one answer in a process of its own."
    path = folder / f"answer_{id.replace('.', '_')}.py"
    path.write_text(CODE.format(id=id, answer=ANSWERS[id]))
    env = os.environ | {"MNIST_COURSE_PROGRESS": "off", "MNIST_COURSE_DATA": "sample"}
    ran = subprocess.run([sys.executable, path], env=env, capture_output=True, text=True)
    return told(ran.returncode, ran.stdout, ran.stderr)


def told(code: int, out: str, err: str) -> str:
    "What a process printed as its result, or how it died."
    if code:
        return f"died ({code}) {err.strip()[-300:]}"
    words = next(line for line in out.splitlines() if line.startswith("RESULT"))
    return words.removeprefix("RESULT ")


def forked(ids: list[str], folder: Path, at_once: int) -> Iterator[tuple[str, str]]:
    """The same in forks of a process that has imported the course and checked nothing: what PyTorch
    loads late is not loaded there yet, and the rest costs no time."""
    os.environ |= {"MNIST_COURSE_PROGRESS": "off", "MNIST_COURSE_DATA": "sample"}
    import mnist_course.checks  # noqa: F401

    assert "torch._dynamo" not in sys.modules
    running: dict[int, tuple[str, Path]] = {}
    left = list(enumerate(ids))
    while left or running:
        while left and len(running) < at_once:
            i, id = left.pop(0)
            path = folder / f"fork_{i}.py"
            path.write_text(CODE.format(id=id, answer=ANSWERS[id]))
            child = os.fork()
            if not child:
                for stream, kind in ((1, "out"), (2, "err")):
                    file = os.open(path.with_suffix(f".{kind}"), os.O_CREAT | os.O_WRONLY)
                    os.dup2(file, stream)
                code = 1
                try:
                    runpy.run_path(str(path))
                    sys.stdout.flush()
                    code = 0
                finally:
                    os._exit(code)
            running[child] = (id, path)
        child, status = os.wait()
        id, path = running.pop(child)
        out, err = (path.with_suffix(f".{kind}").read_text() for kind in ("out", "err"))
        yield id, told(os.waitstatus_to_exitcode(status), out, err)


def slow_down(cores: set[int], busy: int) -> list[subprocess.Popen]:
    "Put this process, and all that it starts, at the end of the queue, behind busy loops."
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    if hasattr(os, "nice"):
        os.nice(19)
    return [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(busy * len(cores))
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("answers", nargs="*", default=list(ANSWERS), help="exercises; all of them")
    parser.add_argument("--processes", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=6)
    parser.add_argument("--busy", type=int, default=4, help="busy loops on each core")
    parser.add_argument("--fork", action="store_true", help="forks of one process: much faster")
    parser.add_argument("--cores", default="0", help="such as 0,1")
    chosen = parser.parse_args()
    cores = set(map(int, chosen.cores.split(",")))
    hogs = slow_down(cores, chosen.busy) if chosen.busy else []
    ids = [chosen.answers[i % len(chosen.answers)] for i in range(chosen.processes)]
    counts: collections.Counter[str] = collections.Counter()
    start = time.monotonic()
    try:
        with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(chosen.at_once) as pool:
            folder = Path(name)
            if chosen.fork:
                results = forked(ids, folder, chosen.at_once)
            else:
                results = zip(ids, pool.map(lambda id: one(id, folder), ids), strict=True)
            for id, said in results:
                counts[said.split()[0]] += 1
                if not said.startswith("passed"):
                    print(id, said, flush=True)
                if sum(counts.values()) % 10 == 0:
                    print(dict(counts), f"{time.monotonic() - start:.0f} s", flush=True)
    finally:
        for hog in hogs:
            hog.kill()
    print(f"{sum(counts.values())} processes: {dict(counts)}, {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
