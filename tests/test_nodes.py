"""Several machines in one: nodes are made, reach each other over a slow link, and are gone afterwards."""

import json
import os
import subprocess
import sys

import pytest
from helpers import ROOT

from mnist_course.base import asset


@pytest.fixture
def nodes(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import nodes

    return nodes


@pytest.fixture
def made(nodes):
    "The same where nodes can be made: on Linux, as root, with iproute2 and what it needs of the kernel."
    try:
        with nodes.Network(1):
            return nodes
    except RuntimeError as error:
        pytest.skip(str(error))


# one node sends a number back that the other sends, and says after how many milliseconds it's there
ECHO = """
import socket, sys, time
here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
here.settimeout(60)
if sys.argv[1] == "answer":
    here.bind(("", 7000))
    print("ready", flush=True)
    here.sendto(*here.recvfrom(99))
else:
    start = time.monotonic()
    here.sendto(b"7", (sys.argv[1], 7000))
    print(here.recv(99).decode(), 1000 * (time.monotonic() - start))
"""


def names() -> set[str]:
    said = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    return {line.split()[0] for line in said.stdout.splitlines()}


def test_what_one_node_sends_is_late_at_another_and_all_are_gone_after_an_error(made):
    def inside(name: str, word: str) -> subprocess.Popen:
        line = ["ip", "netns", "exec", name, sys.executable, "-c", ECHO, word]
        return subprocess.Popen(line, stdout=subprocess.PIPE, text=True)

    with pytest.raises(ZeroDivisionError), made.Network(3, mbit=100, ms=40) as network:
        assert {*network.names} <= names() and len(network.names) == 3
        answering = inside(network.names[2], "answer")
        assert answering.stdout.readline() == "ready\n"
        number, took = inside(network.names[0], made.ADDRESS.format(3)).communicate()[0].split()
        assert number == "7" and float(took) >= 2 * 40
        rest = inside(network.names[1], "answer")
        assert rest.stdout.readline() == "ready\n"
        assert 1 / 0
    assert not {*network.names} & names()
    assert rest.wait() == -9  # whatever still ran in a node has been ended


def test_nodes_of_a_process_that_was_killed_are_removed_by_the_next_one(made):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    old, other = made.NAME.format(ended.pid, 0), made.NAME.format(os.getpid(), 7)
    for name in (old, other):
        subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        with made.Network(1):
            assert old not in names() and other in names()
    finally:
        subprocess.run(["ip", "netns", "delete", other], check=True)


def test_where_no_nodes_can_be_made_it_says_what_is_missing(nodes, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["nodes.py", "run", "--", "program.py"])
    monkeypatch.setattr(os, "geteuid", lambda: 1000, raising=False)
    assert nodes.main() == 2
    assert "need Linux, and root" in capsys.readouterr().err
    monkeypatch.setattr(os, "geteuid", lambda: 0, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert nodes.main() == 2
    assert "ip isn't installed: it comes with iproute2" in capsys.readouterr().err


def test_a_kernel_without_the_queue_is_named(nodes, monkeypatch):
    def fail(*words, **options):
        raise subprocess.CalledProcessError(
            2, words, stderr="Error: Specified qdisc kind unknown.\n"
        )

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(RuntimeError, match=r"kind unknown\. \(does this kernel .*SCH_TBF"):
        nodes.command("tc", "qdisc", "add")


def test_lost_seconds_are_told_by_what_they_went_for(nodes):
    came = [("started", 0, 0, 1.0), ("step 30", 0, 1, 20.5), ("step 30", 0, 0, 20.0)]
    came += [("started", 1, 1, 23.0), ("started", 1, 0, 22.0), ("imported", 1, 0, 25.0)]
    came += [("imported", 1, 1, 26.0), ("first step", 1, 0, 26.5), ("first step", 1, 1, 27.0)]
    came += [("step 30", 1, 0, 31.0), ("step 30", 1, 1, 31.5)]
    rows = [dict(zip(("what", "restart", "rank", "time"), row, strict=True)) for row in came]
    assert nodes.lost_seconds(rows) == {
        "until all are started again": 2.0,
        "importing": 4.0,
        "meeting, and reading the checkpoint": 1.0,
        "repeating steps": 4.5,
    }


def test_the_record_is_whole(nodes):
    found = json.loads(asset("runs", "nodes.json").read_text("utf-8"))
    assert [row["nodes"] for row in found["nodes"]] == [1, 2, 4]
    assert {*found["nodes"][1]["ways"]} == {*nodes.METHODS} == {*found["accuracy"]}
    assert {"processor", "torch", "load"} <= found["machine"].keys()
    assert found["killed"]["same"] is True and found["digits"] % (nodes.BATCH * 16) == 0
