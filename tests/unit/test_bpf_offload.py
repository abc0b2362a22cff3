"""What is said of a packet's checksum and size when it is put into an endpoint."""

from __future__ import annotations

import ipaddress
import socket
import struct

import pytest

from ipvlab.datapath.bpf.offload import offload_header

ADDRESSES = {
    4: [ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("192.0.2.77")],
    6: [ipaddress.ip_address("fd00::1"), ipaddress.ip_address("2001:db8:ffff::77")],
}
NOTHING = bytes(10)
MTU = 1500


def ones_complement(body: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(body) // 2}H", body))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def packet(
    version: int, protocol: int, size: int, *, is_complete: bool, options: int = 0, fragment: int = 0
) -> bytes:
    """An IP packet with a payload of zeros; its checksum complete, or the pseudo header's sum."""
    header = 20 if protocol == socket.IPPROTO_TCP else 8
    length = header + size
    addresses = b"".join(address.packed for address in ADDRESSES[version])
    pseudo = ones_complement(addresses + struct.pack("!II", protocol, length))
    at = 16 if protocol == socket.IPPROTO_TCP else 6
    transport = bytearray(length + length % 2)
    transport[:4] = struct.pack("!HH", 4711, 7)
    if protocol == socket.IPPROTO_TCP:
        transport[12] = 5 << 4
    checksum = pseudo
    if is_complete:
        transport[at : at + 2] = pseudo.to_bytes(2, "big")
        checksum = 0xFFFF ^ ones_complement(bytes(transport))
    transport[at : at + 2] = checksum.to_bytes(2, "big")
    body = bytes(transport[:length])
    if version == 6:
        return struct.pack("!IHBB", 6 << 28, length, protocol, 64) + addresses + body
    first = 4 << 4 | 5 + options // 4
    total = 20 + options + length
    fixed = struct.pack("!BBHHHBBH", first, 0, total, 0, fragment, 64, protocol, 0)
    return fixed + addresses + bytes(options) + body


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("protocol", "offset"), [(socket.IPPROTO_TCP, 16), (socket.IPPROTO_UDP, 6)])
def test_a_sum_of_the_pseudo_header_is_a_checksum_to_be_completed(
    version: int, protocol: int, offset: int
) -> None:
    start = 14 + (20 if version == 4 else 40)
    found = struct.unpack("=BBHHHH", offload_header(packet(version, protocol, 100, is_complete=False), MTU))
    assert found == (1, 0, 0, 0, start, offset)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("protocol", [socket.IPPROTO_TCP, socket.IPPROTO_UDP])
def test_a_complete_checksum_is_left_alone_and_so_is_a_wrong_one(version: int, protocol: int) -> None:
    whole = packet(version, protocol, 100, is_complete=True)
    assert offload_header(whole, MTU) == NOTHING
    spoiled = bytearray(whole)
    spoiled[(20 if version == 4 else 40) + (16 if protocol == socket.IPPROTO_TCP else 6)] ^= 0x55
    assert offload_header(bytes(spoiled), MTU) == NOTHING


@pytest.mark.parametrize(("version", "kind"), [(4, 1), (6, 4)])
def test_a_tcp_packet_longer_than_the_mtu_is_several_segments_of_it(version: int, kind: int) -> None:
    start = 20 if version == 4 else 40
    long = packet(version, socket.IPPROTO_TCP, 20000, is_complete=False)
    found = struct.unpack("=BBHHHH", offload_header(long, MTU))
    assert found == (1, kind, 14 + start + 20, MTU - start - 20, 14 + start, 16)


def test_options_of_ipv4_move_the_transport_header() -> None:
    body = packet(4, socket.IPPROTO_UDP, 10, is_complete=False, options=8)
    assert struct.unpack("=BBHHHH", offload_header(body, MTU))[4] == 14 + 28


@pytest.mark.parametrize("fragment", [0x2000, 185])
def test_a_fragment_has_no_checksum_to_be_completed(fragment: int) -> None:
    body = packet(4, socket.IPPROTO_UDP, 64, is_complete=False, fragment=fragment)
    assert offload_header(body, MTU) == NOTHING


def test_other_protocols_and_stumps_are_left_alone() -> None:
    assert offload_header(packet(4, socket.IPPROTO_ICMP, 64, is_complete=False), MTU) == NOTHING
    whole = packet(4, socket.IPPROTO_TCP, 64, is_complete=False)
    assert offload_header(whole[:30], MTU) == NOTHING
