"""What a packet that netfilter has shown says of its own size and checksum: a struct virtio_net_hdr.

Between namespaces of one machine a TCP packet is up to 64 KiB long and its
checksum is left for later (CHECKSUM_PARTIAL: the field holds the sum of the
pseudo header). nfnetlink_log shows such a packet as it is, without saying so.
"""

from __future__ import annotations

import socket
import struct

_ETHERNET = 14
_HEADER = struct.Struct("=BBHHHH")
_NEEDS_CSUM = 1
_GSO_TCP = {4: 1, 6: 4}
#: Where the checksum lies in the transport header.
_CHECKSUM = {socket.IPPROTO_TCP: 16, socket.IPPROTO_UDP: 6}
_NOTHING = bytes(_HEADER.size)
_FRAGMENT = 0x3FFF


def offload_header(packet: bytes, mtu: int) -> bytes:
    """The header that goes before the Ethernet frame of an IP packet.

    A checksum that is the pseudo header's sum is one to be completed, and a TCP
    packet of that kind longer than the MTU is one of several segments. Anything
    else is left as it is: a wrong checksum stays wrong.
    """
    is_ipv4 = packet[0] >> 4 == 4
    start = (packet[0] & 15) * 4 if is_ipv4 else 40
    protocol = packet[9] if is_ipv4 else packet[6]
    offset = _CHECKSUM.get(protocol)
    if offset is None or len(packet) < start + (20 if protocol == socket.IPPROTO_TCP else 8):
        return _NOTHING
    if is_ipv4 and int.from_bytes(packet[6:8], "big") & _FRAGMENT:
        return _NOTHING
    addresses = packet[12:20] if is_ipv4 else packet[8:40]
    pseudo = sum(struct.unpack(f"!{len(addresses) // 2}H", addresses)) + protocol + len(packet) - start
    checksum = int.from_bytes(packet[start + offset : start + offset + 2], "big")
    # Equal as numbers of one's complement, in which 0 and 0xffff are one.
    if (pseudo - checksum) % 0xFFFF:
        return _NOTHING
    if protocol == socket.IPPROTO_UDP or len(packet) <= mtu:
        return _HEADER.pack(_NEEDS_CSUM, 0, 0, 0, _ETHERNET + start, offset)
    length = start + (packet[start + 12] >> 4) * 4
    kind = _GSO_TCP[4 if is_ipv4 else 6]
    return _HEADER.pack(_NEEDS_CSUM, kind, _ETHERNET + length, mtu - length, _ETHERNET + start, offset)
