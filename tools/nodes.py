"""Several machines in one: each node is a network namespace with an address of its own, and the link between them is as slow as you say. Linux, as root.

    python tools/nodes.py run -- -m mnist_course train --out runs/nodes    what torchrun starts, on two nodes
    python tools/nodes.py run --nodes 4 --mbit 1000 --ms 0.1 -- program.py
    python tools/nodes.py record                                           measures, and writes mnist_course/runs/nodes.json

The rate is kept by the kernel (tc, tbf). The delay is made here: the kernel's own, netem, isn't built into every kernel, so the cable is a TUN
device in each node, and a small program that hands each packet on when it's due. What it takes: CAP_NET_ADMIN, iproute2, /dev/net/tun.
"""

import argparse
import collections
import contextlib
import fcntl
import json
import os
import resource
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

NAME = "mnist-node-{}-{}"  # the process that made it, and the number of the node
LINK = "cable0"  # the device, in each node
ADDRESS = "10.77.0.{}"
ROOT = Path(__file__).resolve().parent.parent
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
TUNSETIFF, TUN_WITHOUT_HEADER = 0x400454CA, 0x1001

HOOKS = ("float32", "float16", "bfloat16")
METHODS = (*HOOKS, "every 4", "every 16")  # weights, after so many steps that each takes alone
BATCH = 64  # digits a step, in all nodes together


# ---- the network


def command(*words: object, inside: str | None = None) -> str:
    "What a command of iproute2 prints. Raises RuntimeError with what it complains about."
    prefix = ["ip", "netns", "exec", inside] if inside else []
    line = [*prefix, *map(str, words)]
    try:
        return subprocess.run(line, capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        raise RuntimeError(f"{line[0]} isn't installed: it comes with iproute2") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip()
        hint = " (does this kernel have CONFIG_NET_SCH_TBF?)" if words[0] == "tc" else ""
        raise RuntimeError(f"{' '.join(line)}: {said}{hint}") from None


def new_device() -> tuple[int, str]:  # a file in which its packets are, and its name
    "A TUN device of this process, which goes when the file is closed."
    try:
        file = os.open("/dev/net/tun", os.O_RDWR)
        given = fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH22x", b"node%d", TUN_WITHOUT_HEADER))
    except OSError as error:
        raise RuntimeError(
            f"no TUN device to be had ({error}): this needs root and a kernel with CONFIG_TUN"
        ) from error
    return file, given[:16].rstrip(b"\0").decode()


def carry(delay: float, files: list[int]) -> None:
    "The cable: read each packet where it comes out of a node, hand it to another when it's due."
    with contextlib.suppress(OSError):  # a cable doesn't wait for a core
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    under_way: collections.deque[tuple[float, int, bytes]] = collections.deque()
    while True:
        due = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        ready = select.select([*files, 0], [], [], due)[0]
        if 0 in ready:  # standard input is closed: who started this is gone
            return
        now = time.monotonic()
        for file in ready:
            packet = os.read(file, 2**16)
            to = packet[19] - 1  # the last byte of an IPv4 packet's destination
            if packet[0] >> 4 == 4 and to < len(files):
                under_way.append((now + delay, files[to], packet))
        while under_way and under_way[0][0] <= time.monotonic():
            _, file, packet = under_way.popleft()
            with contextlib.suppress(OSError):  # its device isn't up
                os.write(file, packet)


class Network:
    "Nodes on a network, from `with` to its end, whatever happens in between."

    def __init__(self, nodes: int = 2, mbit: float = 100, ms: float = 1) -> None:
        self.names = [NAME.format(os.getpid(), i) for i in range(nodes)]
        self.mbit = mbit
        self.ms = ms
        self.way_back = contextlib.ExitStack()

    def __enter__(self) -> "Network":
        if sys.platform != "linux" or os.geteuid():
            raise RuntimeError("network namespaces need Linux, and root: try sudo, or a container")
        with self.way_back:
            _remove_abandoned()
            files = [self._add_node(i, name) for i, name in enumerate(self.names)]
            words = [sys.executable, __file__, "carry", str(self.ms / 1000), *map(str, files)]
            cable = subprocess.Popen(words, stdin=subprocess.PIPE, pass_fds=files)
            self.way_back.callback(cable.communicate)  # which closes its input
            self.way_back = self.way_back.pop_all()
        return self

    def _add_node(self, number: int, name: str) -> int:
        command("ip", "netns", "add", name)
        self.way_back.callback(_remove_node, name)
        file, device = new_device()
        self.way_back.callback(os.close, file)
        command("ip", "link", "set", device, "netns", name, "name", LINK)
        address = ADDRESS.format(number + 1)
        for line in (
            "ip link set lo up",
            f"ip address add {address}/24 dev {LINK}",
            f"ip link set dev {LINK} up",
            f"tc qdisc add dev {LINK} root tbf rate {self.mbit}mbit burst 16kb latency 200ms",
        ):
            command(*line.split(), inside=name)
        return file

    def __exit__(self, *error: object) -> None:
        self.way_back.close()

    def torchrun(self, *words: object, quiet: bool = False) -> tuple[int, str]:
        """Run a program under torchrun, with one process and one thread in each node: its largest exit
        status, and what all printed if it's quiet."""
        env = {**os.environ, "GLOO_SOCKET_IFNAME": LINK, "PYTHONPATH": str(ROOT)}
        # without the second, torchrun's restarts meet the addresses of processes that are gone
        env |= {"TORCH_CPP_LOG_LEVEL": "ERROR", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
        env.setdefault("OMP_NUM_THREADS", "1")
        running = []
        for i, name in enumerate(self.names):
            place = ["--nnodes", len(self.names), "--nproc-per-node", 1, "--rdzv-backend", "c10d"]
            place += ["--rdzv-id", "digits", "--rdzv-endpoint", ADDRESS.format(1) + ":29400"]
            # all nodes have this machine's name, so they can't find out by themselves
            place += [
                "--rdzv-conf",
                f"is_host={int(i == 0)}",
                "--local-addr",
                ADDRESS.format(i + 1),
            ]
            line = ["ip", "netns", "exec", name, *TORCHRUN, *place, *words]
            out = subprocess.PIPE if quiet else None
            running.append(subprocess.Popen([*map(str, line)], env=env, stdout=out, text=True))
        said = [process.communicate()[0] or "" for process in running]
        return max(abs(process.returncode) for process in running), "".join(said)


def _remove_node(name: str) -> None:
    "End what runs in a node, and the node."
    for pid in command("ip", "netns", "pids", name).split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    command("ip", "netns", "delete", name)


def _remove_abandoned() -> None:
    "Nodes of a process that was killed before it could remove them."
    for name in (line.split()[0] for line in command("ip", "netns", "list").splitlines()):
        made_by = name.removeprefix(NAME.split("{")[0]).split("-")[0]
        if name != made_by and made_by.isdigit() and not Path("/proc", made_by).exists():
            _remove_node(name)


# ---- what the nodes measure


def now() -> tuple[float, float, int]:
    "Seconds of the clock and of this process on a core, and bytes that have left this node."
    sent = Path("/sys/class/net", LINK, "statistics/tx_bytes")
    return (
        time.perf_counter(),
        time.process_time(),
        int(sent.read_text()) if sent.exists() else 0,
    )


def link_speed(rank: int, size: int) -> dict[str, float]:
    "Seconds until a number is with the neighbor, and bytes a second, as the processes see them."
    import torch
    import torch.distributed as dist

    def there(numbers: torch.Tensor, back: torch.Tensor) -> float:
        start = time.perf_counter()
        if rank == 0:
            dist.send(numbers, 1)
            dist.recv(back, 1)
        if rank == 1:
            dist.recv(numbers, 0)
            dist.send(back, 0)
        return time.perf_counter() - start

    one, gradient = torch.zeros(1), torch.zeros(593_200)
    latency = statistics.median([there(one, one) for _ in range(50)][5:]) / 2
    whole = statistics.median([there(gradient, one) for _ in range(6)][1:])
    if rank > 1:
        return {}
    return {"latency": latency, "bandwidth": 4 * 593_200 / (whole - 2 * latency)}


def sum_seconds(times: int) -> float:
    "How long the nodes need to add up a gradient with nothing else to do."
    import torch
    import torch.distributed as dist

    gradient = torch.zeros(593_200)
    seconds = []
    for _ in range(times):
        dist.barrier()
        start = time.perf_counter()
        dist.all_reduce(gradient)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def train_by(method: str, team, digits, steps: int, seed: int, warm: int):
    "Train for some steps in one of the ways: the network, and what `now` said after the warm-up and at the end."
    from torch.distributed.algorithms.ddp_comm_hooks import default_hooks
    from torch.distributed.algorithms.model_averaging.averagers import PeriodicModelAverager

    from mnist_course.data import BatchLoader
    from mnist_course.environment import seed_everything
    from mnist_course.model import Net
    from mnist_course.training import kaiming_weights, one_cycle_recipe, train

    seed_everything(seed)
    model = Net()
    kaiming_weights(model)
    recipe = one_cycle_recipe(model, steps)
    trained = model
    alone = method not in HOOKS
    if alone and team.size > 1:
        period = int(method.split()[1])
        averager = PeriodicModelAverager(period, warmup_steps=period - 1)
        recipe.optimizer.register_step_post_hook(
            lambda *_: averager.average_parameters(model.parameters())
        )
    elif team.size > 1:
        trained = team.share(model)
        recipe = replace(recipe, forward=trained.train_forward)
        if method != "float32":
            hook = {"float16": "fp16", "bfloat16": "bf16"}[method] + "_compress_hook"
            trained.step.register_comm_hook(None, getattr(default_hooks, hook))
    marks = []

    def batches():
        loader = BatchLoader(digits, BATCH, shuffle=True)
        for i, (x, y) in enumerate(islice(loader, steps)):
            if i == warm:
                marks.append(now())
            if alone:
                x, y = (part.tensor_split(team.size)[team.rank] for part in (x, y))
            yield x, y

    train(trained, batches(), recipe=recipe, progress=False)
    return model, [*marks, now()]


def measure(steps: int, warm: int, rounds: int, methods: list[str]) -> None:
    "In each node: the link, sums alone, and steps in each of the ways; the first node prints it as JSON."
    from mnist_course.data import load_mnist
    from mnist_course.distributed import Team

    digits = load_mnist(source="sample")[0]
    with Team() as team:
        found = link_speed(team.rank, team.size) | {"sum": sum_seconds(6)} if team.size > 1 else {}
        runs: dict[str, list] = {method: [] for method in methods}
        for _ in range(rounds):
            for method, rows in runs.items():
                marks = train_by(method, team, digits, warm + steps, 0, warm)[1]
                mine = [(end - begin) / steps for begin, end in zip(*marks, strict=True)]
                rows.append(team.collect(mine))
        # of the rounds the one in the middle, by its time
        typical = {method: sorted(rows)[len(rows) // 2] for method, rows in runs.items()}
        found["ways"] = {
            method: {"seconds": row[0][0], "cpu": [one[1] for one in row], "bytes": row[0][2]}
            for method, row in typical.items()
        }
        print(json.dumps({"nodes": team.size} | found))


def accuracies(steps: int, seeds: int) -> None:
    "Two processes on a fast link: how many unseen digits the networks read, after the same digits."
    from mnist_course.data import BatchLoader, load_mnist
    from mnist_course.distributed import Team
    from mnist_course.training import test

    digits, unseen = load_mnist(source="sample")
    with Team() as team:
        found = {
            method: [
                test(train_by(method, team, digits, steps, seed, 0)[0], BatchLoader(unseen, 500))[1]
                for seed in range(seeds)
            ]
            for method in METHODS
        }
        print(json.dumps(found))


# ---- what a killed worker costs


def stamp(folder: Path, what: str) -> None:
    "Note that a process has come so far."
    row = {"what": what, "restart": int(os.environ["TORCHELASTIC_RESTART_COUNT"])}
    row |= {"rank": int(os.environ["RANK"]), "time": time.time()}
    with open(folder / "stamps.jsonl", "a") as file:
        file.write(json.dumps(row) + "\n")


def fit(folder: Path, dies: bool) -> None:
    """Two epochs of 20 steps, and on from the checkpoint if there is one. If told so, the second
    process is killed in the middle of the second epoch, once."""
    stamp(folder, "started")
    from mnist_course.data import DigitDataset, load_mnist, make_loaders
    from mnist_course.distributed import Team, fit_together
    from mnist_course.environment import seed_everything
    from mnist_course.model import Net
    from mnist_course.training import make_recipe, save_weights

    stamp(folder, "imported")
    checkpoint = folder / "checkpoint.pt"
    with Team() as team:
        seed_everything(0)
        sets = [DigitDataset(d.images[:1280], d.labels[:1280]) for d in load_mnist(source="sample")]
        loaders = make_loaders(*sets, batch_size=BATCH)
        model = Net()
        recipe = make_recipe("seed", model, 20, 2)
        again = team.restarts > 0
        steps = 20 if again else 0  # that are done

        def after_step(*_: object) -> None:
            nonlocal steps
            steps += 1
            if steps == 30:
                stamp(folder, "step 30")
                if dies and not again and team.rank == 1:
                    os.kill(os.getpid(), signal.SIGKILL)

        def first_step(*_: object) -> None:
            stamp(folder, "first step")
            hook.remove()

        hook = model.register_forward_pre_hook(first_step)
        recipe.optimizer.register_step_post_hook(after_step)
        fit_together(team, model, loaders, recipe, 2, checkpoint, resume=again)
        if team.first:
            save_weights(folder / "model.safetensors", model)


def lost_seconds(rows: list[dict]) -> dict[str, float]:
    "From the stamps of a run in which a process was killed: where its seconds went."
    last = {}
    for row in sorted(rows, key=lambda row: row["time"]):
        last[row["what"], row["restart"]] = row["time"]
    first_new = min(row["time"] for row in rows if row["restart"] == 1)
    moments = {
        "until all are started again": first_new,
        "importing": last["imported", 1],
        "meeting, and reading the checkpoint": last["first step", 1],
        "repeating steps": last["step 30", 1],
    }
    found, before = {}, min(r["time"] for r in rows if (r["what"], r["restart"]) == ("step 30", 0))
    for name, moment in moments.items():
        found[name] = moment - before
        before = moment
    return found


def kill_one() -> dict:
    "The same run undisturbed, and with a process that is killed: what it cost, and whether the weights are the same."
    found: dict = {}
    with tempfile.TemporaryDirectory() as home:
        weights = []
        for name in ("undisturbed", "killed"):
            folder = Path(home, name)
            folder.mkdir()
            before = [*resource.getrusage(resource.RUSAGE_CHILDREN)[:2], -time.perf_counter()]
            processes("fit", folder, int(name == "killed"), options=("--max-restarts", "1"))
            after = [*resource.getrusage(resource.RUSAGE_CHILDREN)[:2], -time.perf_counter()]
            user, system, wall = (b - a for a, b in zip(before, after, strict=True))
            found[name] = {"cpu": user + system, "seconds": -wall}
            weights.append((folder / "model.safetensors").read_bytes())
        stamps = Path(home, "killed", "stamps.jsonl").read_text().splitlines()
        found["lost"] = lost_seconds([json.loads(line) for line in stamps])
        found["same"] = weights[0] == weights[1]
    return found


# ---- all of it


def processes(*words: object, number: int = 2, options: tuple[str, ...] = ()) -> str:
    "What this program prints, run by processes of this machine, without a slow link."
    place = ["--standalone", "--nproc-per-node", str(number), *options]
    env = {"OMP_NUM_THREADS": "1", **os.environ, "PYTHONPATH": str(ROOT)}
    line = [*TORCHRUN, *place, __file__, *map(str, words)]
    return subprocess.run(line, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout


def record(path: Path, mbit: float, ms: float, to_train: int, seeds: int) -> dict:
    "Measure everything that the page on several processes says of nodes, and write it down."
    sys.path.insert(0, str(ROOT))
    from mnist_course.base import this_machine, write_json

    steps, warm, rounds = 16, 16, 3
    busy = {"load": round(os.getloadavg()[0], 1)}  # with nothing else running, near 0
    found: dict = {"machine": this_machine() | busy, "mbit": mbit, "ms": ms, "steps": steps}
    found["nodes"] = []
    for size in (1, 2, 4):
        words = ["measure", steps, warm, rounds, *(METHODS if size == 2 else ["float32"])]
        if size == 1:
            said = processes(*words, number=1)
        else:
            with Network(size, mbit, ms) as network:
                status, said = network.torchrun(__file__, *words, quiet=True)
            if status:
                raise RuntimeError(f"{size} nodes: a process ended with exit status {status}")
        found["nodes"].append(json.loads(said.splitlines()[-1]))
        print(json.dumps(found["nodes"][-1]), flush=True)
    found["killed"] = kill_one()
    print(json.dumps(found["killed"]), flush=True)
    found["digits"] = to_train * BATCH
    found["accuracy"] = json.loads(processes("accuracies", to_train, seeds).splitlines()[-1])
    print(json.dumps(found["accuracy"]), flush=True)
    write_json(path, found)
    return found


def main() -> int:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    kinds = parser.add_subparsers(dest="kind", required=True)
    run = kinds.add_parser("run", help="a program, after --, on nodes that share this folder")
    run.add_argument("--nodes", type=int, default=2)
    run.add_argument("program", nargs="+", help="what torchrun gets: its options, and the program")
    recording = kinds.add_parser("record", help="measure, and write down")
    recording.add_argument("--out", type=Path, default=ROOT / "mnist_course/runs/nodes.json")
    recording.add_argument("--steps", type=int, default=80, help="before accuracy: 16, 32, ... 144")
    recording.add_argument("--seeds", type=int, default=3)
    for kind in (run, recording):
        kind.add_argument("--mbit", type=float, default=100, help="of each node's link")
        kind.add_argument("--ms", type=float, default=1, help="from node to node")
    args = parser.parse_args()
    try:
        if args.kind == "record":
            record(args.out, args.mbit, args.ms, args.steps, args.seeds)
            return 0
        with Network(args.nodes, args.mbit, args.ms) as network:
            return network.torchrun(*args.program)[0]
    except RuntimeError as error:
        print(f"nodes: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    kind, words = (sys.argv[1:2] or [""])[0], sys.argv[2:]
    if kind == "carry":  # the kinds that this program starts itself
        carry(float(words[0]), [int(word) for word in words[1:]])
    elif kind == "measure":
        measure(*(int(word) for word in words[:3]), words[3:])
    elif kind == "accuracies":
        accuracies(int(words[0]), int(words[1]))
    elif kind == "fit":
        fit(Path(words[0]), words[1] == "1")
    else:
        sys.exit(main())
