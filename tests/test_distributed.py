"""Several processes train one model: really started by torchrun, compared with one process, and killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
import torch.nn.functional as F
from helpers import PATIENCE, team_of
from safetensors.torch import load_file
from torch import nn

import mnist_course.data
import mnist_course.fast
from mnist_course import training
from mnist_course.base import CourseError
from mnist_course.cli import main
from mnist_course.data import BatchLoader, DigitDataset
from mnist_course.distributed import (
    LostError,
    Team,
    fit_together,
    is_lost,
)
from mnist_course.model import Net
from mnist_course.training import History, initial_weights, make_recipe

ROOT = Path(__file__).parent.parent
FLOAT32 = ("--precision", "float32")  # whatever is faster here: results are compared
DIGITS = (
    90,
    31,
)  # training and test digits: with batches of 40, the last ones are shorter, and odd

# what torchrun starts: the command line, with few digits, and with one process that is killed in epoch 2, once, if DIES names it
PROGRAM = f"""
import os, signal, sys
import mnist_course.data as data
from mnist_course.cli import main
from mnist_course.engine.training import Run

sample, real = data.load_mnist(source="sample"), Run.start_epoch
few = tuple(data.DigitDataset(part.images[:n], part.labels[:n], "few") for part, n in zip(sample, {DIGITS}, strict=True))

def start_epoch(run):
    dies = os.environ["RANK"], os.environ["TORCHELASTIC_RESTART_COUNT"]
    if len(run.history) == 1 and dies == (os.environ.get("DIES"), "0"):
        run.recipe.optimizer.register_step_post_hook(lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    return real(run)

data.load_mnist, Run.start_epoch = lambda *args, **options: few, start_epoch
status = main()
if os.environ["RANK"] == os.environ.get("ABORTS"):
    os.abort()
sys.exit(status)
"""


@pytest.fixture(autouse=True)
def few(sample, monkeypatch, tmp_path):
    "In this process: the same few digits, one thread, a folder of its own."
    digits = tuple(
        DigitDataset(part.images[:n], part.labels[:n], "few")
        for part, n in zip(sample, DIGITS, strict=True)
    )
    monkeypatch.setattr(mnist_course.data, "load_mnist", lambda *args, **options: digits)
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield digits
    torch.set_num_threads(threads)


def torchrun(*words: str, **environment: str) -> subprocess.CompletedProcess:
    "Two processes, as the page says to start them; torchrun finds a free port."
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        *words,
    ]
    own = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        **environment,
    }
    return subprocess.run(command, env=own, capture_output=True, text=True)


def same_result(one: Path, other: Path) -> None:
    "Weights and history agree within what float32 can hold."
    weights = [load_file(path / "model.safetensors") for path in (one, other)]
    torch.testing.assert_close(*weights, rtol=1e-3, atol=3e-5)
    histories = [History.load(path / "history.json") for path in (one, other)]
    for name in ("train_loss", "test_loss", "lr"):
        assert getattr(histories[0], name) == pytest.approx(getattr(histories[1], name), rel=1e-5)
    for name in ("train_acc", "test_acc"):
        assert getattr(histories[0], name) == getattr(histories[1], name)


def says_who_is_lost(errors: str, left: int) -> None:
    (said,) = [line for line in errors.splitlines() if line.startswith("mnist-course: ")]
    assert f"process {left} of 2 has lost another one" in said
    assert said.endswith("go on with --resume killed")


@pytest.mark.drawn(3, of="torchrun")
def test_a_killed_worker_ends_the_run_and_one_process_goes_on_to_the_same_result(capsys, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    done = torchrun(
        "program.py",
        "train",
        "--epochs",
        "2",
        "--batch-size",
        "40",
        *FLOAT32,
        "--out",
        "killed",
        DIES="1",
    )
    assert done.returncode == 1
    assert (
        done.stdout.count("data: few") == 1
        and "device: cpu in 2 processes" in done.stdout
        and "epoch 2/2" not in done.stdout
    )
    says_who_is_lost(done.stderr, 0)
    assert {path.name for path in (tmp_path / "killed").iterdir()} == {
        ".lock",
        "settings.json",
        "checkpoint.pt",
    }
    assert main(["train", "--resume", "killed"]) == 0
    assert "going on from checkpoint.pt, after epoch 1" in capsys.readouterr().out
    assert main(["train", "--epochs", "2", "--batch-size", "40", *FLOAT32, "--out", "whole"]) == 0
    same_result(tmp_path / "whole", tmp_path / "killed")


@pytest.mark.drawn(3, of="torchrun")
def test_torchrun_starts_all_again_and_they_end_where_an_undisturbed_run_does(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    said = {}
    for name, dies in (("whole", ""), ("killed", "1")):
        words = [
            "program.py",
            "train",
            "--epochs",
            "2",
            "--batch-size",
            "40",
            *FLOAT32,
            "--out",
            name,
        ]
        done = torchrun("--max-restarts", "1", *words, DIES=dies)
        assert done.returncode == 0, done.stderr
        said[name] = done.stdout.count("going on from checkpoint.pt, after epoch 1")
    assert said == {"whole": 0, "killed": 1}
    weights = [load_file(tmp_path / name / "model.safetensors") for name in said]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    whole, killed = (vars(History.load(tmp_path / name / "history.json")) for name in said)
    assert whole | {"seconds": 0} == killed | {"seconds": 0} and len(whole["train_loss"]) == 2


def test_a_run_that_torchrun_may_start_again_needs_a_folder(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    assert main(["train", "--epochs", "1"]) == 2
    assert "name its folder with --out" in capsys.readouterr().err
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert main(["train", "--epochs", "1", "--batch-size", "40", *FLOAT32, "--out", "new"]) == 0
    assert Team().restarts == 1
    assert main(["train", "--seed", "5", "--batch-size", "40", *FLOAT32, "--out", "new"]) == 2
    assert "was begun with seed 0" in capsys.readouterr().err
    assert main(["train", "--epochs", "1", "--batch-size", "40", *FLOAT32, "--out", "new"]) == 0
    assert "going on from checkpoint.pt, after epoch 1" in capsys.readouterr().out
    monkeypatch.delenv("TORCHELASTIC_RESTART_COUNT")
    assert main(["train", "--epochs", "1", "--out", "new"]) == 2
    assert "holds a run already" in capsys.readouterr().err


def test_restarts_on_several_machines_ask_for_a_store_that_is_new_each_time(monkeypatch):
    place = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    place |= {"TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_MAX_RESTARTS": "2"}
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match="TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1"), Team():
        pass
    assert not torch.distributed.is_initialized()


@pytest.mark.drawn(3, of="torchrun")
def test_two_processes_go_on_with_what_one_began_and_the_first_alone_writes_and_prints(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    for name, epochs in (("parts", "1"), ("whole", "2")):
        assert (
            main(["train", "--epochs", epochs, "--batch-size", "40", *FLOAT32, "--out", name]) == 0
        )
    done = torchrun("program.py", "train", "--epochs", "2", "--resume", "parts")
    assert done.returncode == 0, done.stderr
    for line in (
        "data: few",
        "device: cpu in 2 processes",
        "going on from checkpoint.pt, after epoch 1",
        "epoch 2/2",
        "written to parts",
    ):
        assert done.stdout.count(line) == 1, line
    same_result(tmp_path / "whole", tmp_path / "parts")
    assert History.load(tmp_path / "parts" / "history.json").settings["processes"] == 2
    assert {path.name for path in tmp_path.iterdir()} == {"program.py", "parts", "whole"}
    names = {"settings.json", "checkpoint.pt", "model.safetensors", "history.json", "curves.png"}
    names.add(".lock")
    assert {path.name for path in (tmp_path / "parts").iterdir()} == names


@pytest.mark.drawn(3, of="torchrun")
def test_a_process_that_is_aborted_as_it_leaves_costs_no_result(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    done = torchrun("program.py", "train", "--epochs", "1", "--out", "whole", ABORTS="1")
    assert done.returncode == 1 and done.stdout.count("written to whole") == 1, done.stderr
    names = {"settings.json", "checkpoint.pt", "model.safetensors", "history.json", "curves.png"}
    names.add(".lock")
    assert {path.name for path in (tmp_path / "whole").iterdir()} == names


@pytest.mark.drawn(3, of="torchrun")
def test_when_the_first_process_is_killed_another_one_says_so(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    done = torchrun(
        "program.py",
        "train",
        "--epochs",
        "2",
        "--batch-size",
        "40",
        *FLOAT32,
        "--out",
        "killed",
        DIES="0",
    )
    assert done.returncode == 1
    says_who_is_lost(done.stderr, 1)


@pytest.mark.drawn(3, of="torchrun")
def test_what_is_asked_wrongly_is_told_once_and_nothing_is_written(tmp_path):
    done = torchrun("-m", "mnist_course", "train", "--batch-size", "1")
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if line.startswith("mnist-course: ")] == [
        "mnist-course: a batch of 1 digits is too small for 2 processes: each needs one"
    ]
    assert not list(tmp_path.iterdir())


# ---- in double precision, and piece by piece: two processes that run a function below and write down what came out


class Small(nn.Module):
    "Two layers, in double precision; the first can be frozen for a while, as in lesson 14."

    def __init__(self):
        super().__init__()
        self.below, self.above, self.resting = nn.Linear(784, 12), nn.Linear(12, 10), False

    def forward(self, x):
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.resting):
            x = self.below(x.flatten(1)).tanh()
        return self.above(x).log_softmax(1)


def noisy(x: torch.Tensor) -> torch.Tensor:
    "An augmentation: random numbers for each batch."
    return x.double() + 0.1 * torch.randn(x.shape, dtype=torch.float64)


def exact_loss(model: nn.Module, x: torch.Tensor, y: torch.Tensor, precision: str) -> tuple:
    "`forward_loss` in the model's own precision."
    log_probs = model(x)
    return log_probs, y, F.nll_loss(log_probs, y)


def noise(count: int) -> DigitDataset:
    "Random pictures with random labels."
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(256, (count, 28, 28), dtype=torch.uint8, generator=generator)
    return DigitDataset(images, torch.randint(10, (count,), generator=generator))


def trained(team: Team, net: type, count: int, batch: int, change: str = "") -> tuple[list, dict]:
    "Three epochs on a few digits; after the first, the first layer is frozen, or rests."
    torch.manual_seed(0)
    digits, model = noise(count), net().double()
    loader, tests = (
        BatchLoader(digits, batch, shuffle=True, transform=noisy),
        BatchLoader(digits, 23, transform=torch.Tensor.double),
    )
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    shared, results = team.share(model, exact_loss), []
    forward = exact_loss if team.size == 1 else shared.train_forward
    recipe = training.Recipe(optimizer, forward=forward)
    for epoch in range(3):
        next(model.children()).requires_grad_(change != "frozen" or not epoch)
        model.resting = change == "resting" and epoch > 0
        results += [
            *training.train(shared, loader, recipe=recipe, progress=False),
            *training.test(shared, tests),
        ]
    return results, {name: value.clone() for name, value in shared.state_dict().items()}


CASES = {
    "even": (
        Small,
        61,
        10,
    ),  # 61 = 6 x 10 + 1: the last batch has one digit, and the second process none
    "odd": (Small, 61, 7),
    "frozen": (Small, 61, 8, "frozen"),
    "resting": (Small, 61, 8, "resting"),
    "net": (Net, 19, 8, "frozen"),
}


def fast(team: Team, checkpoint: Path) -> tuple[list, dict]:
    "Three epochs of the fast recipe in double precision: small pictures, then large ones, and layers that rest."
    torch.manual_seed(0)
    digits, model = noise(37), Net().double()
    loaders = (
        BatchLoader(digits, batch, shuffle=batch == 8, transform=torch.Tensor.double)
        for batch in (8, 23)
    )
    with patch.object(
        torch.Tensor, "float", torch.Tensor.double
    ):  # the recipe computes its loss in float32
        initial_weights("fast", model)
        recipe = make_recipe("fast", model, 5, 3)
        history = fit_together(
            team, model, tuple(loaders), recipe, 3, checkpoint, precision="float32"
        )
    return [*history.train_loss, *history.test_loss, *history.test_acc], model.state_dict()


def pieces(team: Team) -> dict:
    "What each method answers, in words."
    rank, said = team.rank, {}

    def attempt(name, work):
        try:
            said[name] = str(work())
        except (ValueError, RuntimeError, SystemExit) as error:
            said[name] = f"{type(error).__name__}: {error}"

    def fails():
        if rank == 1:
            raise OSError(2, "no such file")
        return "fine"

    attempt("agree", lambda: team.agree(lambda: f"said by {rank}"))
    attempt("every", lambda: team.every(fails))
    attempt("same", lambda: team.same("the numbers", [7, 7]))
    attempt("other", lambda: team.same("the numbers", [7, rank]))
    attempt("norm", lambda: team.share(nn.BatchNorm2d(3)))
    attempt("dropout", lambda: team.share(nn.Sequential(nn.Linear(2, 2), nn.Dropout())))
    attempt("mps", lambda: team.device("mps"))
    attempt("cuda", lambda: team.device("cuda"))
    attempt("cpu", lambda: team.device())
    attempt("batches", lambda: team.share(Small())(torch.full((4, 784), float(rank))))
    return said


def member(rank: int, folder: Path, port: int) -> None:
    "One of two processes, told who it is as torchrun tells it; the second one leaves in the end without a word."
    place = {
        "RANK": rank,
        "WORLD_SIZE": 2,
        "LOCAL_RANK": rank,
        "LOCAL_WORLD_SIZE": 2,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
    }
    os.environ.update({name: str(value) for name, value in place.items()})
    torch.set_num_threads(1)
    print("printed by", rank, flush=True)
    try:
        with Team(timeout=PATIENCE) as team:
            print("inside", rank)
            found = {name: trained(team, *case) for name, case in CASES.items()}
            found["fast"] = fast(team, folder / "fast.pt")
            torch.save([found, pieces(team)], folder / f"{rank}.pt")
            if rank == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            team.agree(lambda: 1)
    except LostError as error:
        (folder / f"{rank}.txt").write_text(str(error))


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    "What two processes found, and what the one that was left alone says."
    import socket

    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "import sys; sys.path[:0] = sys.argv[4:]; import test_distributed as t; from pathlib import Path; "
    code += "t.member(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))"
    words = [str(folder), str(port), str(ROOT), str(ROOT / "tests")]
    own = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(rank), *words], env=own, stdout=subprocess.PIPE
        )
        for rank in (0, 1)
    ]
    printed = [process.communicate()[0].decode() for process in processes]
    found = [torch.load(folder / f"{rank}.pt") for rank in (0, 1)]
    return found, printed, (folder / "0.txt").read_text()


@pytest.mark.parametrize("case", [*CASES, "fast"])
def test_two_processes_compute_what_one_computes(two, case, tmp_path):
    results, weights = (
        fast(Team(), tmp_path / "fast.pt") if case == "fast" else trained(Team(), *CASES[case])
    )
    for found, _ in two[0]:
        assert found[case][0] == pytest.approx(
            results, rel=1e-6
        )  # a test's loss is a float32 number
        torch.testing.assert_close(found[case][1], weights, rtol=1e-9, atol=1e-11)
    assert two[0][0][0][case][0] == two[0][1][0][case][0]  # and both see the very same losses


def test_each_piece_answers_for_all(two):
    first, second = (said for _, said in two[0])
    assert first["agree"] == second["agree"] == "said by 0"
    assert (
        first["every"] == "ValueError: process 1 of 2: no such file"
        and second["every"] == "SystemExit: 2"
    )
    assert first["same"] == second["same"] == "None"
    assert (
        first["other"]
        == "ValueError: the numbers must be the same everywhere: [7, 0] in process 0 and [7, 1] in process 1"
    )
    assert "SyncBatchNorm" in first["norm"] and "one process" in first["dropout"]
    assert (
        "not on 'mps'" in first["mps"] and "2 processes need 2 GPUs and 0 are here" in first["cuda"]
    )
    assert first["cpu"] == "cpu"
    for said in (first, second):
        assert said["batches"].startswith("RuntimeError: the processes work on different batches")


def test_who_is_left_alone_says_so_and_the_second_process_does_not_print(two):
    assert "process 0 of 2 has lost another one" in two[2]
    assert [text.splitlines()[:2] for text in two[1]] == [
        ["printed by 0", "inside 0"],
        ["printed by 1"],
    ]


def test_a_team_of_one_starts_nothing():
    with Team() as team:
        model = Small()
        assert (
            team.first
            and team.size == 1
            and team.share(model) is model
            and not torch.distributed.is_initialized()
        )
        assert team.every(lambda: 3) == team.agree(lambda: 3) == 3 and team.device(
            "cpu"
        ) == torch.device("cpu")
        team.same("anything", object())
        with pytest.raises(OSError, match="as it is"):
            team.every(lambda: (_ for _ in ()).throw(OSError("as it is")))


def test_errors_of_the_connection_are_told_from_others():
    assert issubclass(LostError, CourseError) and issubclass(LostError, RuntimeError)
    assert is_lost(LostError("gone"))
    assert is_lost(RuntimeError("[pair.cc:545] Read error [127.0.0.1]:1: Connection reset by peer"))
    assert is_lost(RuntimeError("Timed out waiting 5000ms for recv operation to complete"))
    assert (
        not is_lost(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
        and not is_lost(ValueError("gloo"))
        and not is_lost(None)
    )


def test_python_m_is_the_command_line():
    done = subprocess.run(
        [sys.executable, "-m", "mnist_course", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("mnist_course ")


def test_a_pytorch_without_gloo_is_named_before_anything_starts(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_gloo_available", lambda: False)
    team = team_of(monkeypatch)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(ValueError, match=r"without gloo.*one process"), team:
        raise AssertionError("inside without the others")
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("gpus", [2, 3])
def test_each_process_takes_a_gpu_of_its_own(monkeypatch, gpus):
    taken = []
    monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    second = team_of(monkeypatch, RANK=5, WORLD_SIZE=6, LOCAL_RANK=1)
    assert second.device() == second.device("cuda") == torch.device("cuda", 1)
    assert taken == [1, 1]
    assert second.device("cpu") == torch.device("cpu") and taken == [1, 1]


@pytest.mark.parametrize("nccl", [True, False])
def test_with_too_few_gpus_all_work_on_the_processor(monkeypatch, nccl):
    monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda: nccl)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1 if nccl else 8)
    team = team_of(monkeypatch)
    assert team.device() == torch.device("cpu")
    with pytest.raises(ValueError, match=f"2 processes need 2 GPUs and {int(nccl)} are here"):
        team.device("cuda")


@pytest.mark.parametrize("rank", [0, 1])
def test_when_another_one_fails_at_the_end_the_first_has_its_result(monkeypatch, rank):
    def broken():
        raise RuntimeError("Connection closed by peer")

    monkeypatch.setattr(torch.distributed, "barrier", broken)
    team = team_of(monkeypatch, RANK=rank)
    if rank == 0:
        assert team.__exit__(None, None, None) is None
    else:
        with pytest.raises(SystemExit) as left:
            team.__exit__(None, None, None)
        assert left.value.code == 1
