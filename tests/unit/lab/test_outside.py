import struct

from hypothesis import given
from hypothesis import strategies as st

from lab.outside import checksum, echo_request, is_reply


def packet(kind: int, identifier: int, sequence: int) -> bytes:
    ip_header = b"\x45" + bytes(19)
    return ip_header + struct.pack("!BBHHH", kind, 0, 0, identifier, sequence)


@given(st.binary(max_size=64))
def test_data_with_its_checksum_sums_up_to_zero(data: bytes) -> None:
    padded = data + b"\0" * (len(data) % 2)
    assert checksum(padded + struct.pack("!H", checksum(padded))) == 0


def test_a_request_carries_a_right_checksum() -> None:
    assert checksum(echo_request(7, 3)) == 0


def test_only_the_answer_to_this_request_counts() -> None:
    assert is_reply(packet(0, 7, 3), 7, 3)
    assert not is_reply(packet(8, 7, 3), 7, 3)
    assert not is_reply(packet(0, 8, 3), 7, 3)
    assert not is_reply(packet(0, 7, 2), 7, 3)
    assert not is_reply(b"", 7, 3)
    assert not is_reply(b"\x45" + bytes(10), 7, 3)
