"""Feed one reader with changed inputs until the time is over, with atheris where it's installed:

    python -m tests.fuzz.harness idx --minutes 10

Without a name, all readers share the time. Whatever a reader raises that it doesn't document is a finding; so is
an input that takes more than 20 seconds or 2 GB. The finding's bytes are written to fuzz-findings/."""

import argparse
import importlib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).parent
FINDINGS = Path("fuzz-findings")
NAMES = sorted(path.stem.removeprefix("fuzz_") for path in HERE.glob("fuzz_*.py"))
# what breaks readers more often than chance does
MAGIC = [
    b"\0",
    b"\xff" * 4,
    b"\x7f\xff\xff\xff",
    b"[" * 3000,
    b'{"a":' * 3000,
    b"1e999",
    b"NaN",
    b"-1",
]
MAGIC += [
    b"9" * 5000,
    b"null",
    b"\\ud800",
    b"\xed\xa0\x80",
    b"\x1b]0;x\x07",
    b"=1+1",
    b"../",
    b"true",
]


def load(name: str) -> Callable[[bytes], None]:
    "The function that gives bytes to one reader, and lets pass only what that documents."
    return importlib.import_module(f"tests.fuzz.fuzz_{name}").one


def corpus(name: str) -> list[bytes]:
    "Good inputs to begin with, and those that were findings once."
    kept = sorted((HERE / "corpus" / name).glob("*"))
    made = importlib.import_module(f"tests.fuzz.fuzz_{name}").seeds()
    return [*made, *(path.read_bytes() for path in kept)]


def changed(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    "An input with one to four places changed."
    new = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(new) + 1)
        match rng.randrange(6):
            case 0 if new:
                new[at % len(new)] ^= 1 << rng.randrange(8)
            case 1:
                new[at:at] = rng.choice(MAGIC)
            case 2:
                del new[at : at + rng.randint(1, 16)]
            case 3:
                new = new[:at]
            case 4:
                other = rng.choice(others)
                start = rng.randrange(len(other) + 1)
                new[at : at + 8] = other[start : start + rng.randint(1, 64)]
            case _:
                new[at : at + 4] = rng.randbytes(rng.randint(1, 4))
    return bytes(new[: 1 << 20])


def inputs(name: str, seed: int) -> Iterator[bytes]:
    "Changed inputs without end, the same for the same seed; the corpus itself comes first."
    rng = random.Random(seed)
    known = corpus(name)
    yield from known
    while True:
        yield changed(rng.choice(known), rng, known)


def run(name: str, seconds: float, seed: int, most: int) -> int:
    "Without atheris: how many inputs one reader got. A finding is written down and raised."
    one = load(name)
    end = time.monotonic() + seconds
    for number, data in enumerate(inputs(name, seed)):
        if number >= most or time.monotonic() > end:
            return number
        try:
            one(data)
        except Exception:
            FINDINGS.mkdir(exist_ok=True)
            (FINDINGS / f"{name}-{seed}-{number}").write_bytes(data)
            raise
    return 0


def guided(name: str, seconds: float, seed: int, most: int) -> None:
    "With atheris: it looks at which lines of our package an input reaches."
    import atheris

    with atheris.instrument_imports(include=["mnist_course"]):
        one = load(name)
    FINDINGS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(corpus(name)):
            (Path(folder) / str(number)).write_bytes(data)
        limits = [
            f"-max_total_time={int(seconds)}",
            f"-runs={most}",
            f"-seed={seed}",
            "-timeout=20",
        ]
        limits += [
            "-rss_limit_mb=3000",
            "-malloc_limit_mb=2000",
            "-max_len=65536",
            "-detect_leaks=0",
        ]
        atheris.Setup(["fuzz", *limits, f"-artifact_prefix={FINDINGS}/{name}-", folder], one)
        atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"of readers: {', '.join(NAMES)}")
    parser.add_argument("--minutes", type=float, default=10, help="for all of them together")
    parser.add_argument("--most", type=int, default=10**9, help="inputs for each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--guided", action="store_true", help="with atheris, one name")
    args = parser.parse_args()
    names = args.names or NAMES
    seconds = 60 * args.minutes / len(names)
    if args.guided:
        guided(names[0], seconds, args.seed, args.most)
        return 0
    if len(names) == 1:
        print(f"{names[0]}: {run(names[0], seconds, args.seed, args.most):,} inputs", flush=True)
        return 0
    half = args.minutes / len(names) / 2
    failed = []
    for name in names:  # each in a process of its own: what one does to memory isn't the next one's
        same = [sys.executable, "-m", "tests.fuzz.harness", name, "--minutes", str(half)]
        same += ["--seed", str(args.seed), "--most", str(args.most)]
        ways = [same]
        if importlib.util.find_spec("atheris"):
            ways.append([*same, "--guided"])
        if any(subprocess.run(way).returncode for way in ways):
            failed.append(name)
    print(f"findings: {', '.join(failed)}" if failed else "no findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
