"""Writes those cases of this plugin that the official library for Python vouches for: it encodes the messages, and what
is to come out is what its `MessageToDict` says, but for whole numbers of 64 bits, which it shows as text.

    pip install protobuf grpcio-tools
    python3 plugins/protobuf/tests/cases.py
"""

import base64
import json
import pathlib
import sys
import tempfile

from google.protobuf import any_pb2, json_format
from grpc_tools import protoc
import grpc_tools

here = pathlib.Path(__file__).parent
cases = here.parent / "cases"
folder = tempfile.mkdtemp()
sys.path.insert(0, folder)
known = pathlib.Path(grpc_tools.__file__).parent / "_proto"


def compile_all():
    names = ["shop", "old", "new"]
    for name in names:
        done = protoc.main(
            ["protoc", f"-I{here / 'proto'}", f"-I{known}", f"--python_out={folder}", f"{name}.proto"]
            + [f"--descriptor_set_out={folder}/{name}.pb", "--include_imports"]
        )
        assert done == 0
    return {name: base64.b64encode(pathlib.Path(f"{folder}/{name}.pb").read_bytes()).decode() for name in names}


sets = compile_all()
import new_pb2  # noqa: E402
import old_pb2  # noqa: E402
import shop_pb2  # noqa: E402

LONG = {3, 4, 6, 16, 18}


def exact(value, message):
    """The same with whole numbers of 64 bits as numbers."""
    if not isinstance(value, dict) or message is None:
        return value
    fields = {}
    for field in message.fields:
        fields[field.name] = fields[field.json_name] = field
    out = {}
    for name, inner in value.items():
        field = fields.get(name)
        if field is None:
            out[name] = inner
            continue
        kind = field.message_type
        if kind is not None and kind.GetOptions().map_entry:
            of = kind.fields_by_name["value"]
            out[name] = {key: one(item, of) for key, item in inner.items()}
        elif isinstance(inner, list) and (kind is None or kind.full_name not in ("google.protobuf.ListValue", "google.protobuf.Value")):
            out[name] = [one(item, field) for item in inner]
        else:
            out[name] = one(inner, field)
    return out


def one(value, field):
    kind = field.message_type
    if kind is None:
        return int(value) if field.type in LONG else value
    if kind.full_name in ("google.protobuf.Int64Value", "google.protobuf.UInt64Value"):
        return int(value)
    return value if kind.full_name.startswith("google.protobuf.") else exact(value, kind)


def write(name, set_name, message, records, out, rejected=(), **settings):
    folder = cases / name
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"descriptor_set": sets[set_name], "message": message, "encoding": "base64", **settings}
    (folder / "settings.json").write_text(json.dumps(settings) + "\n")
    lines = lambda all: "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in all)
    (folder / "in.ndjson").write_text(lines(records))
    (folder / "out.ndjson").write_text(lines(out))
    if rejected:
        (folder / "rejected.ndjson").write_text(lines({"row": row, "reason": reason} for row, reason in rejected))


def record(n, *bytes_):
    return {"n": n, "message": base64.b64encode(b"".join(bytes_)).decode()}


def case(name, set_name, messages, how=None, **settings):
    records, out = [], []
    for n, message in enumerate(messages):
        shown = json_format.MessageToDict(message, **{"preserving_proto_field_name": True, **(how or {})})
        records.append(record(n, message.SerializeToString()))
        out.append({"n": n, **exact(shown, message.DESCRIPTOR)})
    write(name, set_name, messages[0].DESCRIPTOR.full_name, records, out, **settings)


def orders():
    Order = shop_pb2.Order
    full = Order(
        id=-(2**63), customer_name="Zoë \"Q\"\n\u0001", state=Order.STATE_SENT, stock={"b.c": 2, "": -1},
        flags={True: Order.STATE_PAID, False: 0}, cash=2**53 + 1, deltas=[-1, 0, 2**62], notes=["", "x"],
        states=[0, 2, 77], signature=b"\x00\xff~", weight=0.1, gift=True, big=2**64 - 1, f32=2**32 - 1, f64=2**63,
        sf32=-5, sf64=-(2**62), s32=-(2**31), i32=-2, u32=4000000000, maybe=0, doubles=[1, -0.0, 1e300, 0.1, 5e-324],
    )
    full.items.add(sku="a", price=1.0, count=0).parts.add(sku="b", price=2.5).parts.add()
    full.by_number[-7].sku = "seven"
    full.first.SetInParent()
    known = Order(id=1)
    known.time.FromJsonString("2024-02-29T23:59:59.123456Z")
    known.took.FromJsonString("-1.500s")
    known.extra.update({"a": None, "b": [1, "x", {"c": True}], "d": {}})
    known.any_value.string_value = "v"
    known.list.extend([1, None, [2]])
    known.wrapped.value = 2**60
    known.wrapped_text.SetInParent()
    known.mask.paths.extend(["customer_name", "first.sku"])
    known.any.Pack(Order.Item(sku="packed", count=3))
    known.empty.SetInParent()
    known.times.add(seconds=0)
    known.times.add(seconds=-62135596800)
    known.times.add(seconds=253402300799, nanos=999999999)
    known.values["n"].null_value = 0
    known.values["t"].bool_value = False
    inner = any_pb2.Any()
    inner.Pack(known.took)
    wrapped = Order(any=inner)
    odd = Order(weight=float("inf"), doubles=[float("nan"), float("-inf"), 1e16], any_value=known.any_value, state=9)
    return [full, known, wrapped, odd, Order()]


def old():
    Event = old_pb2.Event
    full = Event(id=0, level=Event.INFO, host="", ratio=0, raw=b"", packed=[1, -1], loose=[3, 4], levels=[5, 7])
    full.place.x = 3
    full.Extensions[old_pb2.region] = "eu"
    return [full, Event(id=1)]


def new():
    Event = new_pb2.Event
    full = Event(explicit=0, implicit=0, required=0, open=7, closed=1, expanded=[1, 2])
    full.grouped.n = 4
    return [full, Event(required=1, implicit=2, name="")]


case("every_type_of_proto3", "shop", orders())
case("names_of_json_and_numbers_of_enums", "shop", orders()[:2],
     {"preserving_proto_field_name": False, "use_integers_for_enums": True}, field_names="json", enum_values="number")
case("fields_without_presence_have_defaults", "shop", [shop_pb2.Order(), shop_pb2.Order(cash=0, gift=True)],
     {"always_print_fields_with_no_presence": True}, defaults="implicit")
case("proto2_with_groups_and_extensions", "old", old())
case("an_edition_by_its_features", "new", new())

# What no library is asked about: all defaults, frames, and bytes that are no message.
base = {"level": "ERROR", "host": "here", "ratio": 0.5, "raw": base64.b64encode(b"\x01x").decode(), "on": True}
lists = {"packed": [], "loose": [], "levels": []}
write("all_defaults", "old", "old.Event", [record(0, old()[1].SerializeToString())],
      [{"n": 0, "id": 1, **base, **lists, "[old.region]": ""}], defaults="all")

item = lambda sku: shop_pb2.Order.Item(sku=sku).SerializeToString()
framed = lambda *all: b"".join(bytes([len(one)]) + one for one in all)
write("several_messages_behind_their_lengths", "shop", "shop.Order.Item",
      [record(0, framed(item("a"), item(""), item("b"))), record(1, framed(item("c"))), record(2, b"\x05ab"),
       record(3, framed(item("d"), b"\x0a\x09x")), record(4)],
      [{"n": 0, "item": {"sku": "a"}}, {"n": 0}, {"n": 0, "item": {"sku": "b"}}, {"n": 1, "item": {"sku": "c"}}],
      [(2, "message 0: 5 bytes should follow, and there are 2"),
       (3, "message 1: field 1: 9 bytes should follow, and there are 1"), (4, "there is no message in it")],
      framing="length_delimited", prefix="item")
write("the_header_of_a_schema_registry", "shop", "shop.Order.Item",
      [record(0, b"\0\0\0\0\x09\x04\0\0", item("a")), record(1, b"\0\0\0\0\x09\0", item("b")), record(2, item("c"))],
      [{"n": 0, "sku": "a"}],
      [(1, "it is of another message of its schema: [0], and not [0, 0]"),
       (2, "it has no header of a schema registry: a zero byte and four of a number")], framing="confluent")

newer = shop_pb2.Unknown(id=5, other="x").SerializeToString()
write("fields_that_the_schema_does_not_know", "shop", "shop.Order", [record(0, newer)], [{"n": 0, "id": 5}])
write("fields_that_the_schema_does_not_know_are_refused", "shop", "shop.Order", [record(0, newer)], [],
      [(0, "fields that the schema does not know: 1")], unknown_fields="reject")

deep = b""
for _ in range(101):
    size = len(deep)
    length = b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    deep = b"\x22" + length + bytes([size]) + deep
write("what_is_no_message_is_rejected", "shop", "shop.Order.Item",
      [{"n": 0, "message": "%%"}, {"n": 1, "message": 5}, record(2, b"\x0a\x05ab"), record(3, b"\x0a\x01\xff"),
       record(4, deep), record(5, b"\x22\x02\x0a\x7f"), record(6, b"\xff" * 11), {"n": 7}, record(8, item("ok"))],
      [{"n": 7}, {"n": 8, "sku": "ok"}],
      [(0, "it is no base64: Invalid symbol 37, offset 0."), (1, "the field `message`: it is a number, and should be text"),
       (2, "field 1: 5 bytes should follow, and there are 2"), (3, "`sku`: a text that is not UTF-8"),
       (4, "`" + "parts." * 99 + "parts`: more than 100 messages within one another"),
       (5, "`parts`: field 1: 127 bytes should follow, and there are 0"), (6, "a number of more than 64 bits")])
write("a_required_field_is_missing_and_the_record_passes", "old", "old.Event", [record(0, b"\x1a\x01x"), record(1, b"\x08\x02")],
      [{**record(0, b"\x1a\x01x"), "wrong": "`id`: it is missing"}, {"n": 1, "id": 2}],
      on_mismatch="pass", error_field="wrong")


def refused(name, reason, **settings):
    folder = cases / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "settings.json").write_text(json.dumps(settings) + "\n")
    (folder / "refused.txt").write_text(reason + "\n")


refused("no_descriptor_set", "settings: `descriptor_set` is missing: the set of file descriptors, as base64")
refused("a_set_that_is_no_base64", "settings.descriptor_set: it is no base64: Invalid symbol 63, offset 0.", descriptor_set="?")
refused("a_set_that_is_none", "settings.descriptor_set: it is no set of file descriptors: field 1: 10 bytes should follow, and there are 0",
        descriptor_set="Cgo=", message="x")
refused("a_message_that_is_not_in_the_set",
        "settings.message: there is no `old.Evnt` in the set; there are old.Event, old.Event.Place",
        descriptor_set=sets["old"], message="old.Evnt")
refused("no_message", "settings: `message` is missing: the full name of the message; there are old.Event, old.Event.Place",
        descriptor_set=sets["old"])
refused("a_message_without_fields_of_its_own", "settings.message: `google.protobuf.Duration` has no fields of its own",
        descriptor_set=sets["shop"], message="google.protobuf.Duration")
