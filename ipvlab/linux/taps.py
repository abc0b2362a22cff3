"""A tap link in a namespace: frames that leave by it are read from its fd, what is written to it comes in."""

from __future__ import annotations

import fcntl
import os
import struct

from ipvlab.linux.namespaces import Namespace

_TUNSETIFF, _TUNSETIFINDEX = 0x400454CA, 0x400454DA
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000

#: Length of the struct virtio_net_hdr before every frame.
OFFLOAD_HEADER = 10


def open_tap(namespace: Namespace, name: str, index: int) -> int:
    """Make a tap link, down; the fd does not block, and the link ends when it is closed.

    Every frame has a struct virtio_net_hdr before it. No offload is asked for
    (TUNSETOFFLOAD), so what is read is cut to size and its checksums are
    complete; what is written may be neither. Raises OSError where the kernel has
    no tun driver or the user may not.
    """

    def make() -> int:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            fcntl.ioctl(fd, _TUNSETIFINDEX, struct.pack("=I", index))
            flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR
            fcntl.ioctl(fd, _TUNSETIFF, struct.pack("=16sH22x", name.encode(), flags))
        except BaseException:
            os.close(fd)
            raise
        return fd

    return namespace.call(make)
