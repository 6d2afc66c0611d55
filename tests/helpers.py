"What several test files share."

import struct

import torch


def idx_file(values: torch.Tensor) -> bytes:
    "A tensor of bytes as an IDX file."
    return (
        b"\0\0\x08"
        + struct.pack(f">B{values.ndim}I", values.ndim, *values.shape)
        + values.numpy().tobytes()
    )


def machine(monkeypatch, cuda: int = 0, mps: bool = False) -> None:
    "Let torch say that this machine has so many NVIDIA GPUs, and Apple's or not."
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
