"""The names of fields: ``kubernetes.labels.app`` is the member ``app`` of ``labels`` of ``kubernetes``.

A dot inside a name is written ``\\.``, a backslash ``\\\\``, and a lone surrogate, which JSON allows and UTF-8 does not,
``\\ud800``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_PIECE = re.compile(r"\\([.\\])|\\(u[dD][89a-fA-F][0-9a-fA-F]{2})|([^\\]+)|(\\)")
_SURROGATE = re.compile("[\ud800-\udfff]")

MAX_BYTES = 16 << 10
"""Most bytes of a path."""
MAX_DEPTH = 64
"""Most names of a path."""
RESERVED = ("@timestamp", "@tag", "@rest")
"""The names of the host: the time, the tag, and what a record has past the names that have columns."""


def escape(name: str) -> str:
    """One name as it stands in a path."""
    if "\\" in name:
        name = name.replace("\\", "\\\\")
    if "." in name:
        name = name.replace(".", "\\.")
    if not name.isascii():
        name = _SURROGATE.sub(_hex4, name)
    return name


def _hex4(found: re.Match[str]) -> str:
    return f"\\u{ord(found.group()):04x}"


def join(names: Iterable[str]) -> str:
    """The path of these names, from the outermost."""
    return ".".join(map(escape, names))


def push(path: str, name: str) -> str:
    """The path of a member of the object at ``path``, which is empty for the record itself."""
    return f"{path}.{escape(name)}" if path else escape(name)


def _ends(path: str) -> list[int]:
    """Where each name of a path ends."""
    if "\\" not in path:
        return [at for at, char in enumerate(path) if char == "."] + [len(path)]
    ends, at = [], 0
    while at < len(path):
        if path[at] == "\\":
            at += 2
            continue
        if path[at] == ".":
            ends.append(at)
        at += 1
    return [*ends, len(path)]


def split(path: str) -> list[str]:
    """The names along a path, from the outermost. A lone surrogate becomes U+FFFD."""
    return [_unescape(name, "\ufffd") for name in _escaped(path)]


def names(path: str) -> list[str]:
    """The names along a path, from the outermost, as a member of a JSON object has them."""
    return [_unescape(name, None) for name in _escaped(path)]


def _escaped(path: str) -> list[str]:
    if "\\" not in path:
        return path.split(".")
    start, names = 0, []
    for end in _ends(path):
        names.append(path[start:end])
        start = end + 1
    return names


def _unescape(name: str, surrogate: str | None) -> str:
    if "\\" not in name:
        return name

    def text(found: re.Match[str]) -> str:
        plain, hexadecimal, other, stray = found.groups()
        if hexadecimal:
            return chr(int(hexadecimal[1:], 16)) if surrogate is None else surrogate
        return plain or other or stray or ""

    return _PIECE.sub(text, name)


def canonical(path: str) -> str:
    """The one form of a path that the host takes: each backslash begins an escape."""
    if "\\" not in path:
        return path
    return ".".join(escape(_unescape(name, None)) for name in _escaped(path))


def above(path: str) -> list[str]:
    """The paths above a path, from the outermost."""
    if "." not in path:
        return []
    return [path[:end] for end in _ends(path)[:-1]]


def and_above(path: str) -> list[str]:
    """A path and those above it, from the innermost."""
    return [path, *reversed(above(path))]


def is_below(inner: str, outer: str) -> bool:
    """Whether the path ``inner`` lies below ``outer``, at any depth: ``a.b`` below ``a``."""
    return inner.startswith(outer) and inner[len(outer) : len(outer) + 1] == "."


def overlap(a: str, b: str) -> bool:
    """Whether one of two paths is, or lies below, the other."""
    return a == b or is_below(a, b) or is_below(b, a)


def contradiction(paths: Iterable[str]) -> tuple[str, str] | None:
    """Two of these paths that overlap, the earlier one first."""
    before: list[str] = []
    for path in paths:
        for other in before:
            if overlap(other, path):
                return other, path
        before.append(path)
    return None


def check(path: str) -> str:
    """The canonical form of a path that a field can be written to.

    :raises ValueError: when the host would not take it.
    """
    path = canonical(path)
    if not path.isascii():
        path = _SURROGATE.sub(_hex4, path)
    if len(path) > MAX_BYTES or not path.isascii() and len(path.encode()) > MAX_BYTES:
        raise ValueError(f"the path `{path[:100]}…` has more than {MAX_BYTES} bytes")
    if len(_ends(path)) > MAX_DEPTH:
        raise ValueError(f"the path `{path[:100]}…` has more than {MAX_DEPTH} names")
    if path.startswith("@"):
        for reserved in RESERVED:
            if is_below(path, reserved):
                raise ValueError(f"`{path}` lies below a name of the host's")
    return path
