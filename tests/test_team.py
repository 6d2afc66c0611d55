"""What the processes of a team say to each other: two threads in place of two processes, or two copies of this one, without starting any anew."""

import os
import pickle
import signal
import socket
import sys
import threading
import time

import pytest
import torch
from helpers import PATIENCE, team_of
from torch import nn

from mnist_course import distributed, training
from mnist_course.data import BatchLoader, DigitDataset
from mnist_course.distributed import LostError, Team


class Threads:
    "What a team uses of torch.distributed, for as many threads."

    def __init__(self, size: int) -> None:
        self.size = size
        self.wait = threading.Barrier(size, timeout=PATIENCE).wait
        self.box: list = [None] * size
        self.here = threading.local()

    def all_gather_object(self, out: list, value: object) -> None:
        self.box[self.here.rank] = value
        self.wait()
        out[:] = self.box
        self.wait()

    def broadcast_object_list(self, values: list, src: int, device: torch.device) -> None:
        found: list = [None] * self.size
        self.all_gather_object(found, values[0])
        values[0] = found[src]

    def all_gather(self, got: list[torch.Tensor], sent: torch.Tensor) -> None:
        found: list = [None] * self.size
        self.all_gather_object(found, sent.clone())
        for target, one in zip(got, found, strict=True):
            target.copy_(one)


def together(monkeypatch, work, size: int = 2) -> list:
    "What each thread's `work(team)` gives, or raises."
    threads = Threads(size)
    monkeypatch.setattr(distributed, "dist", threads)
    answers: list = [None] * size

    def run(rank: int) -> None:
        threads.here.rank = rank
        team = Team()
        team.rank, team.size = rank, size
        try:
            answers[rank] = work(team)
        except BaseException as error:
            answers[rank] = error

    started = [threading.Thread(target=run, args=(rank,)) for rank in range(size)]
    for one in started:
        one.start()
    for one in started:
        one.join()
    return answers


def fails(team: Team, *ranks: int) -> str:
    if team.rank in ranks:
        raise ValueError(f"no digits in {team.rank}")
    return f"done by {team.rank}"


@pytest.mark.parametrize(
    ("ranks", "said"),
    [
        ((), ["done by 0", "done by 1", "done by 2"]),
        ((0,), ["no digits in 0", 2, 2]),
        ((2,), ["process 2 of 3: no digits in 2", 2, 2]),
        ((1, 2), ["process 1 of 3: no digits in 1", 2, 2]),
        ((0, 1), ["no digits in 0", 2, 2]),
    ],
)
def test_when_one_fails_all_end_and_the_first_says_why(monkeypatch, ranks, said):
    found = together(monkeypatch, lambda team: team.every(lambda: fails(team, *ranks)), 3)
    assert [one.code if isinstance(one, SystemExit) else str(one) for one in found] == said


def test_all_get_what_the_first_makes(monkeypatch):
    made = []
    found = together(monkeypatch, lambda team: team.agree(lambda: made.append(team.rank) or "a"))
    assert found == ["a", "a"] and made == [0]
    found = together(monkeypatch, lambda team: team.agree(lambda: fails(team, 0)))
    assert str(found[0]) == "no digits in 0" and found[1].code == 2
    assert together(monkeypatch, lambda team: team.collect(team.rank * 5)) == [[0, 5], [0, 5]]


def test_what_must_be_the_same_is_compared(monkeypatch):
    assert together(monkeypatch, lambda team: team.same("the seed", 7)) == [None, None]
    first, second = together(monkeypatch, lambda team: team.same("the seed", team.rank + 7))
    words = "the seed must be the same everywhere: 7 in process 0 and 8 in process 1"
    assert isinstance(first, ValueError) and str(first).endswith(words) and second.code == 2


def test_rows_come_back_in_the_order_of_the_batch(monkeypatch):
    x = torch.arange(7.0)[:, None].expand(7, 10)

    def gathered(team):
        part = x.tensor_split(3)[team.rank].clone().requires_grad_()
        loss = torch.tensor(0.5 + team.rank, requires_grad=True)
        rows, losses = distributed._gather(part, [3, 2, 2], x, loss)
        return torch.cat(rows), torch.stack(losses)

    for rows, losses in together(monkeypatch, gathered, 3):
        assert torch.equal(rows, x) and losses.tolist() == [0.5, 1.5, 2.5]
        assert not rows.requires_grad and not losses.requires_grad

    def apart(team):
        return distributed._gather(x[:2], [2, 2], x + team.rank * 1e-3)

    for error in together(monkeypatch, apart):
        assert isinstance(error, RuntimeError) and "work on different batches" in str(error)


def test_what_would_be_another_result_in_parts_is_refused(monkeypatch):
    team = team_of(monkeypatch)
    for layer, advice in (
        (nn.BatchNorm2d(3), "BatchNorm2d sees a part of each batch.*SyncBatchNorm looks at all"),
        (nn.Dropout(), "Dropout sees a part of each batch.*train it with one process"),
        (nn.Dropout2d(), "Dropout2d sees"),
    ):
        with pytest.raises(ValueError, match=advice):
            team.share(nn.Sequential(nn.Conv2d(1, 3, 3), layer))
    for name in ("mps", "meta"):
        with pytest.raises(ValueError, match=f"not on '{name}'"):
            team.device(name)


def left_with(monkeypatch, rank: int, error: BaseException) -> BaseException:
    "What a team is left with when an error ends what is inside; it may wait for a second."
    waited = []
    monkeypatch.setattr(time, "sleep", waited.append)
    before = signal.getsignal(signal.SIGTERM)
    team = team_of(monkeypatch, RANK=rank)
    try:
        team.__exit__(type(error), error, None)
    except BaseException as raised:
        assert waited == [1] * isinstance(raised, SystemExit)  # the first has to say it
        return raised
    finally:
        signal.signal(signal.SIGTERM, before)
    return error


def test_an_error_leaves_as_what_its_reader_can_use(monkeypatch):
    lost = left_with(monkeypatch, 1, RuntimeError("[pair.cc:545] Connection closed by peer"))
    assert isinstance(lost, LostError)
    assert str(lost) == "process 1 of 2 has lost another one (Connection closed by peer)"
    for rank in (0, 1):
        error = ValueError("as it is")
        assert left_with(monkeypatch, rank, error) is error
    diverged = training.DivergedError("nan")
    assert left_with(monkeypatch, 0, diverged) is diverged
    assert left_with(monkeypatch, 1, diverged).code == 1
    assert left_with(monkeypatch, 1, SystemExit(2)).code == 2


def test_torchrun_says_who_a_process_is_and_alone_it_is_the_first(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    alone = Team(timeout=7)
    assert (alone.rank, alone.size, alone.local_rank, alone.local_size) == (0, 1, 0, 1)
    assert alone.timeout.total_seconds() == 7 and alone.restarts == 0 and alone.first
    monkeypatch.setenv("RANK", "3")  # somebody else's word: both are needed
    assert Team().rank == 0
    place = {"RANK": 3, "WORLD_SIZE": 6, "LOCAL_RANK": 1, "TORCHELASTIC_RESTART_COUNT": 2}
    team = team_of(monkeypatch, **place)
    assert (team.rank, team.size, team.local_rank, team.local_size) == (3, 6, 1, 2)
    assert team.restarts == 2 and not team.first


def test_after_a_restart_they_meet_in_a_store_of_their_own(monkeypatch):
    asked = []
    monkeypatch.setattr(
        torch.distributed, "TCPStore", lambda *given, **more: asked.append((*given, more))
    )
    monkeypatch.setattr(torch.distributed, "PrefixStore", lambda prefix, store: prefix)
    place = {"MASTER_ADDR": "here", "MASTER_PORT": "77", "TORCHELASTIC_MAX_RESTARTS": "3"}
    assert team_of(monkeypatch, **place)._meeting() == {}
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "2")  # and PyTorch has no store over it
    assert team_of(monkeypatch, **place)._meeting() == {}
    place |= {"TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0"}
    assert team_of(monkeypatch, **place)._meeting() == {}
    found = team_of(monkeypatch, **place | {"TORCHELASTIC_RESTART_COUNT": "2"})._meeting()
    assert found == {"store": "restart 2", "rank": 0, "world_size": 2}
    ((host, port, more),) = asked
    assert (host, port, more["is_master"]) == ("here", 77, False)
    assert more["timeout"].total_seconds() == 300
    apart = place | {"LOCAL_WORLD_SIZE": 1}
    with pytest.raises(ValueError, match="restarts on several machines, torchrun needs"):
        team_of(monkeypatch, **apart)._meeting()
    assert team_of(monkeypatch, **apart | {"TORCHELASTIC_MAX_RESTARTS": "0"})._meeting() == {}


def test_without_gloo_there_is_no_team(monkeypatch):
    monkeypatch.setattr(torch.distributed, "is_gloo_available", lambda: False)
    with pytest.raises(ValueError, match="built without gloo"):
        team_of(monkeypatch).__enter__()


@pytest.mark.parametrize(("gpus", "here", "best"), [(0, 2, "cpu"), (1, 2, "cpu"), (2, 2, "cuda")])
def test_a_gpu_each_or_the_processor_for_all(monkeypatch, gpus, here, best):
    chosen = []
    monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    team = team_of(monkeypatch, RANK=1, LOCAL_RANK=1, LOCAL_WORLD_SIZE=here)
    assert team.device().type == best and team.device("cpu").type == "cpu"
    assert chosen == [1] * (best == "cuda")
    if best == "cpu":
        with pytest.raises(ValueError, match=f"2 processes need 2 GPUs and {gpus} are here"):
            team.device("cuda")
    else:
        assert team.device("cuda") == torch.device("cuda", 1)


# ---- two processes over gloo: copies of this one


posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="copies of a process are POSIX's")


def forked(work, size: int = 2, after=lambda: None) -> list:
    """What `work(team)` gives or raises in each process of a team, whether all is as before when it
    has left, and what `after()` gives then."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    pipes = []
    for rank in range(size):
        reading, writing = os.pipe()
        if os.fork() == 0:
            try:
                torch.set_num_threads(1)  # the pool of threads has not come along
                place = {"RANK": rank, "LOCAL_RANK": rank, "MASTER_ADDR": "127.0.0.1"}
                place |= {"WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "MASTER_PORT": port}
                os.environ |= {name: str(value) for name, value in place.items()}
                os.environ["TORCHELASTIC_RESTART_COUNT"] = str(2 * rank)
                before, out = signal.getsignal(signal.SIGTERM), sys.stdout
                try:
                    with Team(timeout=PATIENCE) as team:
                        answer = work(team)
                except BaseException as error:
                    answer = error
                left = after()
                same = signal.getsignal(signal.SIGTERM) == before and sys.stdout is out
                tidy = same and not torch.distributed.is_initialized()
                os.write(writing, pickle.dumps((answer, tidy, left)))
            finally:
                os._exit(0)
        os.close(writing)
        pipes.append(reading)
    found = []
    for reading in pipes:
        with open(reading, "rb") as pipe:
            found.append(pickle.loads(pipe.read()))
    for _ in pipes:
        os.wait()
    return found


@posix
def test_inside_a_team_only_the_first_prints_and_afterward_all_is_as_before():
    def look(team):
        handler = signal.getsignal(signal.SIGTERM)
        silent = getattr(sys.stdout, "name", "") == os.devnull
        place = (team.rank, team.size, team.restarts, team.device().type)
        return handler is distributed._asked_to_stop, silent, place, team.collect(team.rank)

    for rank, (answer, tidy, _) in enumerate(forked(look)):
        assert answer == (True, rank == 1, (rank, 2, 2, "cpu"), [0, 1]) and tidy


@posix
def test_nobody_leaves_before_the_first_has_written(tmp_path):
    def work(team):
        if team.first:
            time.sleep(0.3)
            (tmp_path / "checkpoint").touch()

    assert [there for *_, there in forked(work, after=(tmp_path / "checkpoint").exists)] == [
        True
    ] * 2


def digits(n: int = 10) -> DigitDataset:
    random = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (n, 28, 28), generator=random, dtype=torch.uint8)
    return DigitDataset(pixels, torch.arange(n) % 10)


def a_run(team, folder, batch_size: int = 4):
    "A short run: each process begins with other weights and other random numbers."
    torch.manual_seed(team.rank)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10), nn.LogSoftmax(1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    train_set, test_set = digits(), digits(6)
    loaders = (
        BatchLoader(train_set, batch_size, shuffle=True),
        BatchLoader(test_set, 4),
    )
    recipe = training.Recipe(optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5))
    path = folder / f"{team.rank}.pt"
    history = distributed.fit_together(team, model, loaders, recipe, 3, path)
    weights = [value.clone() for value in model.state_dict().values()]
    return history.train_loss, history.test_acc, weights, path.exists(), len(history.lr)


@posix
@pytest.mark.parametrize("batch_size", [4, 1])  # with one digit, one of the two has nothing to do
def test_two_train_as_one_does(tmp_path, batch_size):
    alone = a_run(Team(), tmp_path, batch_size)
    (first, tidy, _), (second, _, _) = forked(lambda team: a_run(team, tmp_path / "2", batch_size))
    assert tidy and alone[4] == first[4] == second[4] == 3
    for one in (first, second):
        assert one[0] == pytest.approx(alone[0], rel=1e-4) and one[1] == alone[1]
        for ours, theirs in zip(one[2], alone[2], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert first[3] and not second[3]  # the first keeps the checkpoint


@posix
def test_a_shared_model_answers_in_float32_and_gives_its_own_weights():
    def look(team):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)).bfloat16()
        shared = team.share(model)
        with torch.no_grad():
            x = torch.rand(5, 1, 28, 28).bfloat16()
            same = torch.equal(shared(x), model(x).float())
        names = list(shared.state_dict(prefix="m."))
        missed = shared.load_state_dict({}, strict=False).missing_keys
        return same, shared(x).dtype, names, missed, shared.team is team, shared.model is model

    for answer, tidy, _ in forked(look):
        names = ["1.weight", "1.bias"]
        assert answer == (True, torch.float32, [f"m.{one}" for one in names], names, True, True)
        assert tidy
