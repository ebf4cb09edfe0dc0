"""The world outside the cloud: what a floating IP answers to, seen from this machine."""

from __future__ import annotations

import os
import socket
import struct
import time
from dataclasses import dataclass

ECHO_REQUEST, ECHO_REPLY = 8, 0
PAYLOAD = b"stackroles ping "


@dataclass(frozen=True, slots=True)
class Answer:
    """One ping: its place in the row, and the milliseconds until its answer, None without one."""

    sequence: int
    milliseconds: float | None


def checksum(data: bytes) -> int:
    """Return the Internet checksum of data (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF


def echo_request(identifier: int, sequence: int) -> bytes:
    """Return an ICMP echo request."""
    header = struct.pack("!BBHHH", ECHO_REQUEST, 0, 0, identifier, sequence)
    summed = checksum(header + PAYLOAD)
    return struct.pack("!BBHHH", ECHO_REQUEST, 0, summed, identifier, sequence) + PAYLOAD


def is_reply(packet: bytes, identifier: int, sequence: int) -> bool:
    """Return whether an IPv4 packet answers this echo request."""
    start = (packet[0] & 0x0F) * 4 if packet else 0
    if len(packet) < start + 8:
        return False
    kind, _, _, who, which = struct.unpack("!BBHHH", packet[start : start + 8])
    return (kind, who, which) == (ECHO_REPLY, identifier, sequence)


def ping(
    address: str, count: int = 3, *, timeout: float = 2.0, period: float = 0.2
) -> list[Answer]:
    """Send echo requests one after the other and return what came of each.

    Needs root (or CAP_NET_RAW): this machine may lack the program.
    """
    identifier = os.getpid() & 0xFFFF
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as wire:
        answers = []
        for sequence in range(count):
            if sequence:
                time.sleep(period)
            answers.append(_one(wire, address, identifier, sequence, timeout))
        return answers


def _one(
    wire: socket.socket, address: str, identifier: int, sequence: int, timeout: float
) -> Answer:
    sent = time.monotonic()
    try:
        wire.sendto(echo_request(identifier, sequence), (address, 0))
        while (left := sent + timeout - time.monotonic()) > 0:
            wire.settimeout(left)
            if is_reply(wire.recv(2048), identifier, sequence):
                return Answer(sequence, round((time.monotonic() - sent) * 1000, 1))
    except OSError:  # no route, no neighbour, or the time-out
        pass
    return Answer(sequence, None)
