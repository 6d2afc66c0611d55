"""What the processes of a team say to each other: two threads in place of two processes, without starting any."""

import signal
import threading
import time

import pytest
import torch
from helpers import PATIENCE, team_of
from torch import nn

from mnist_course import distributed, training
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
    "What a team is left with when an error ends what is inside."
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    before = signal.getsignal(signal.SIGTERM)
    team = team_of(monkeypatch, RANK=rank)
    try:
        team.__exit__(type(error), error, None)
    except BaseException as raised:
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
    monkeypatch.setattr(torch.distributed, "TCPStore", lambda *given, **more: asked.append(given))
    monkeypatch.setattr(torch.distributed, "PrefixStore", lambda prefix, store: prefix)
    place = {"MASTER_ADDR": "here", "MASTER_PORT": "77", "TORCHELASTIC_MAX_RESTARTS": "3"}
    assert team_of(monkeypatch, **place)._meeting() == {}
    place |= {"TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": "0"}
    assert team_of(monkeypatch, **place)._meeting() == {}
    found = team_of(monkeypatch, **place | {"TORCHELASTIC_RESTART_COUNT": "2"})._meeting()
    assert found == {"store": "restart 2", "rank": 0, "world_size": 2}
    assert asked == [("here", 77)]
