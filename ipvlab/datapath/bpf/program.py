"""The compiled object (``ipvlan.o``), read from its ELF sections and loaded into the kernel.

Map shapes are read from the object, so they are stated once, in ``ipvlan.c``.
"""

from __future__ import annotations

import functools
import os
import struct
from importlib import resources

from ipvlab.errors import KernelUnfit
from ipvlab.linux import bpf

_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQ")
_MAP = struct.Struct("<5I")

PROGRAM_PREFIX = "tc/"
BPF_PSEUDO_MAP_FD = 1


class CompiledObject:
    """The sections of an object that matter: programs, where they name maps, map shapes, licence."""

    def __init__(self, image: bytes) -> None:
        if image[:4] != b"\x7fELF" or image[5] != 1:
            raise KernelUnfit("the BPF object is not a little-endian ELF file")
        sections = self._sections(image)
        names = [section[0] for section in sections]
        self.license = sections[names.index("license")][1].rstrip(b"\0").decode()
        symbols = self._symbols(sections, names)
        shapes = sections[names.index("maps")][1]
        map_section = names.index("maps")
        #: name -> (kind, key size, value size, capacity, flags)
        self.maps = {
            name: _MAP.unpack_from(shapes, value)
            for name, section, value in symbols
            if section == map_section
        }
        self.programs = {
            name.removeprefix(PROGRAM_PREFIX): body
            for name, body, *_ in sections
            if name.startswith(PROGRAM_PREFIX)
        }
        #: program -> [(offset of the instruction, map)]
        self.uses: dict[str, list[tuple[int, str]]] = {name: [] for name in self.programs}
        for name, body, *_ in sections:
            if not name.startswith(".rel" + PROGRAM_PREFIX):
                continue
            for at in range(0, len(body), _RELOCATION.size):
                offset, info = _RELOCATION.unpack_from(body, at)
                self.uses[name.removeprefix(".rel" + PROGRAM_PREFIX)].append((offset, symbols[info >> 32][0]))

    @staticmethod
    def _sections(image: bytes) -> list[tuple[str, bytes, int]]:
        (table,) = struct.unpack_from("<Q", image, 40)
        size, count, names_at = struct.unpack_from("<HHH", image, 58)
        headers = [_SECTION.unpack_from(image, table + size * i) for i in range(count)]

        def text(offset: int) -> str:
            start = headers[names_at][4] + offset
            return image[start : image.index(b"\0", start)].decode()

        return [(text(head[0]), image[head[4] : head[4] + head[5]], head[6]) for head in headers]

    @staticmethod
    def _symbols(sections: list[tuple[str, bytes, int]], names: list[str]) -> list[tuple[str, int, int]]:
        _, body, strings_at = sections[names.index(".symtab")]
        strings = sections[strings_at][1]
        symbols = []
        for at in range(0, len(body), _SYMBOL.size):
            name, _info, _other, section, value, _size = _SYMBOL.unpack_from(body, at)
            symbols.append((strings[name : strings.index(b"\0", name)].decode(), section, value))
        return symbols


@functools.cache
def compiled_object() -> CompiledObject:
    """The object that ships with ipvlab; building it is never needed to use ipvlab."""
    return CompiledObject(resources.files(__package__).joinpath("ipvlan.o").read_bytes())


class LoadedObject:
    """The maps and programs of one lab, in the kernel for as long as this object lives."""

    def __init__(self, compiled: CompiledObject) -> None:
        bpf.allow_locked_memory()
        self.maps: dict[str, bpf.Map] = {}
        self.programs: dict[str, int] = {}
        try:
            for name, (kind, key_size, value_size, capacity, flags) in compiled.maps.items():
                self.maps[name] = bpf.Map(name, kind, key_size, value_size, capacity, flags)
            for name, body in compiled.programs.items():
                code = bytearray(body)
                for offset, used in compiled.uses[name]:
                    # A wide load whose source register field says "this is a map's fd".
                    code[offset + 1] = (code[offset + 1] & 0x0F) | BPF_PSEUDO_MAP_FD << 4
                    struct.pack_into("=i", code, offset + 4, self.maps[used].fd)
                self.programs[name] = bpf.load_program(name, bytes(code), compiled.license)
        except BaseException:
            self.close()
            raise
        self.maps["tails"].set(struct.pack("=I", 0), struct.pack("=i", self.programs["fanout"]))

    def close(self) -> None:
        """Let go of maps and programs; attached programs live on until their links die."""
        for fd in self.programs.values():
            os.close(fd)
        for table in self.maps.values():
            table.close()
        self.programs.clear()
        self.maps.clear()
