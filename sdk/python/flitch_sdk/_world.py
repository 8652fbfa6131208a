"""The world that componentize-py gets, and what makes its component one of the contract's world.

Its bindings make an object of Python of each number in a list, and ask one for each that goes out. So for columns that go out the
guest's world names another type of the same layout in memory: two numbers, where a list lies and how many it holds, which an
``array`` tells at once. When the component is made, its type sections are told what these really are.
"""

from __future__ import annotations

OUT = """
  record out-blobs {
    data: list<u8>,
    ends: tuple<u32, u32>,
  }

  variant out-values {
    text(out-blobs),
    bytes(out-blobs),
    int64(tuple<u32, s32>),
    float64(tuple<s32, u32>),
    boolean(list<u8>),
    timestamp(tuple<u32, s32>),
    json(out-blobs),
  }

  record out-column {
    name: string,
    present: option<list<u8>>,
    values: out-values,
  }
"""

OTHER = [
    ("\n  record batch {", f"{OUT}\n  record batch {{"),
    ("  use columns.{batch, column};", "  use columns.{batch, out-column};"),
    ("  use columns.{column};", "  use columns.{column, out-column};"),
    ("keys: column, want", "keys: out-column, want"),
    ("    take: option<list<u32>>,", "    take: option<tuple<u32, u32>>,"),
    ("    set: list<column>,", "    set: list<out-column>,"),
]
"""What stands in the contract, and in the guest's world instead."""

PAIRS = {
    bytes((0x6F, 2, 0x79, 0x79)): bytes((0x70, 0x79)),
    bytes((0x6F, 2, 0x79, 0x7A)): bytes((0x70, 0x78)),
    bytes((0x6F, 2, 0x7A, 0x79)): bytes((0x70, 0x75)),
}
"""Tuples as a type section has them, and the lists of u32, s64 and f64 that they are."""

COMPONENT, TYPE = 4, 7


class OtherMake(Exception):
    """The component is not as the pinned componentize-py makes it."""


def guest_world(contract: str) -> str:
    """The guest's world, made of the contract."""
    for ours, other in OTHER:
        if contract.count(ours) != 1:
            raise OtherMake(f"the contract has not one {ours!r}")
        contract = contract.replace(ours, other)
    return contract


def as_the_contract(component: bytes) -> bytes:
    """The component with the types that the contract has.

    :raises OtherMake: when it has not the types of the guest's world.
    """
    counts = dict.fromkeys(PAIRS, 0)
    made = _sections(component, counts)
    u32s, s64s, f64s = counts.values()
    # Those of columns stand in what it imports, and in its inner component; `take` in what it exports as well.
    if not u32s > s64s == f64s > 1:
        raise OtherMake(f"a component of another make: {list(counts.values())}")
    return made


def _sections(component: bytes, counts: dict[bytes, int]) -> bytes:
    # Behind the magic and the version.
    at, out = 8, [component[:8]]
    while at < len(component):
        kind = component[at]
        size, start = _unsigned(component, at + 1)
        content = component[start : start + size]
        if kind == COMPONENT:
            content = _sections(content, counts)
        elif kind == TYPE:
            for pair, listed in PAIRS.items():
                counts[pair] += content.count(pair)
                content = content.replace(pair, listed)
        out += [bytes((kind,)), _leb(len(content)), content]
        at = start + size
    return b"".join(out)


def _unsigned(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned LEB128, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _leb(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))
