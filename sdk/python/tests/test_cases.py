"""The cases of `wit/cases`, as filters meet them in the SDK."""

from __future__ import annotations

import json
import sys
import unittest
from pathlib import Path
from typing import Any, Iterator

SDK = Path(__file__).resolve().parents[1]
CASES = SDK.parents[1] / "wit" / "cases"
sys.path[:0] = [str(SDK), str(SDK / "conformance"), str(SDK / "example")]

from flitch_sdk._abi import Err  # noqa: E402
from flitch_sdk import ColumnFilter, Record, RecordFilter, _world, columns, path, time, values  # noqa: E402
from flitch_sdk.testing import Tester, batch, borders, cases  # noqa: E402


def lines(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    text = (CASES / "values" / name).read_text(encoding="utf-8")
    found = [(line, json.loads(line)) for line in text.split("\n") if line]
    assert found, f"{name} holds no case"
    yield from found


def flat(text: str) -> dict[str, values.Value]:
    return batch.flatten(batch.read(text))


class Values(unittest.TestCase):
    def test_paths(self) -> None:
        for line, case in lines("paths.ndjson"):
            with self.subTest(line):
                if "names" in case:
                    self.assertEqual(path.split(case["path"]), case["names"])
                    quoted = [f'"{name}"' for name in case["json"]] if "json" in case else map(json.dumps, case["names"])
                    nested = "7"
                    for name in reversed(list(quoted)):
                        nested = f"{{{name}:{nested}}}"
                    canonical = case.get("canonical", case["path"])
                    self.assertEqual(flat(nested), {canonical: 7})
                    self.assertEqual(path.canonical(case["path"]), canonical)
                elif "and_above" in case:
                    self.assertEqual(path.and_above(case["path"]), case["and_above"])
                elif "below" in case:
                    self.assertEqual(path.is_below(case["inner"], case["outer"]), case["below"])
                else:
                    found = path.contradiction(case["paths"])
                    self.assertEqual(found and list(found), case["contradiction"])

    def test_numbers(self) -> None:
        for line, case in lines("numbers.ndjson"):
            with self.subTest(line):
                value = values.of_number(case["in"])
                if case.get("wrong"):
                    self.assertIsNone(value)
                    continue
                kind = {int: "int64", float: "float64", values.Json: "json"}[type(value)]
                self.assertEqual((kind, values.text_of(value)), (case["kind"], case["out"]))

    def test_times(self) -> None:
        for line, case in lines("times.ndjson"):
            with self.subTest(line):
                exact = time.parse_exact(case["in"])
                self.assertEqual(exact, case["ns"])
                self.assertEqual(time.parse_rfc3339(case["in"]), case.get("lenient", case["ns"]))
                columns = flat(json.dumps({"@timestamp": case["in"]}))
                if exact is None:
                    self.assertEqual(columns, {"_@timestamp": case["in"]})
                else:
                    self.assertEqual(time.format_rfc3339(exact), case["out"])
                    self.assertEqual(columns, {"@timestamp": exact})

    def test_json_texts(self) -> None:
        for line, case in lines("json.ndjson"):
            with self.subTest(line):
                given = case["out"]
                value = values.decode(given)
                self.assertEqual(json.dumps(borders.with_kind(value)), json.dumps(case["value"]))
                self.assertEqual(values.text_of(values.Json(given)), case.get("plain", given.lstrip()))
                self.assertEqual(repr(values.decode(values.mixed_text(value))), repr(value))


    def test_a_float_that_is_no_number_is_null_in_json(self) -> None:
        infinite = float("inf")
        value = [1.5, float("nan"), {"a": -infinite, "b": [infinite, "x", None]}]
        self.assertEqual(values.dump(value), '[1.5,null,{"a":null,"b":[null,"x",null]}]')
        inside: list[Any] = []
        inside.append(inside)
        with self.assertRaises(ValueError):
            values.dump(inside)

    def test_members_of_an_object_are_told_with_their_texts(self) -> None:
        text = '{ "a" : 1.50, "b":[{"c":"]}"} , 2],"\\ud800":null,"a":12345678901234567890123 }'
        expected = {"a": "12345678901234567890123", "b": '[{"c":"]}"} , 2]', "\ud800": "null"}
        self.assertEqual(values.members(text), expected)
        self.assertEqual([values.members(text) for text in ("{}", "{ }", "[1]", '"{"', "1")], [{}] * 5)

    def test_a_column_of_texts_reads_back_as_it_was(self) -> None:
        contents: list[list[Any]] = [["a", "bc", ""], ["a", None, "c"], ["", ""], ["ä", "b"], ["a", 7], [values.Json("[1]"), "b"]]
        for content in contents:
            with self.subTest(content):
                self.assertEqual(columns.Column(columns.column_of("name", content)).values, content)
        self.assertIsNone(columns.column_of("name", [None]))
        self.assertIsNone(columns.column_of("name", []))


class Batches(unittest.TestCase):
    def test_the_conformance_guest_answers_as_the_contract_says(self) -> None:
        import app

        self.assertGreater(borders.run(CASES / "batches", app.Guest), 10)

    def test_a_filter_says_what_it_remembers_and_takes_it_again(self) -> None:
        import app

        def configured() -> Any:
            app.Filter().configure("{}")
            return app.State()

        state = configured()
        self.assertEqual(state.save(), b"1 0")
        state.restore(b"1 4")
        state.restore(b"1 3")
        self.assertEqual(state.save(), b"1 7")
        with self.assertRaises(Err) as refused:
            configured().restore(b"2 7")
        self.assertEqual(refused.exception.value, "its format is not known")

    def test_a_field_may_have_a_name_that_utf8_does_not_hold(self) -> None:
        class Names(RecordFilter[dict[str, Any]]):
            def apply(self, record: Record) -> None:
                record.set("half\ud800", 1)
                record.set("o", {"\udfff.x": 2})
                record.remove("other\ud800")

        outcome = Tester(Names, {}).run([{"other\ud800": 0}])
        self.assertEqual(outcome.records, [{"half\ud800": 1, "o": {"\udfff.x": 2}}])
        self.assertEqual(outcome.rejected, [])

    def test_a_field_is_found_in_its_column_and_inside_of_objects_that_have_no_columns(self) -> None:
        contents: dict[str, Any] = {
            "last": {"text": [None, "own", None, None]},
            "p": {"json": [None, '{"q.r":1}', "[1]", None]},
            "@rest": {"json": ['{"last":"x","p":{"q.r":2.0}}', None, '{"last":1.5,"last":2}', None]},
        }
        batch_ = columns.Batch(borders.batch_of({"rows": 4, "columns": contents}))
        self.assertEqual(batch_.values("last"), ["x", "own", 2, None])
        self.assertEqual(repr(batch_.values("p.q\\.r")), "[2.0, 1, None, None]")
        self.assertEqual([value is not None for value in batch_.values("@rest")], [True, False, True, False])
        self.assertEqual(batch_.values("missing"), [None] * 4)

    def test_of_several_reasons_the_first_one_is_told(self) -> None:
        class Several(ColumnFilter[dict[str, Any]]):
            def apply(self, batch: columns.Batch, changes: columns.Changes) -> None:
                for row, reason in ((1, "first"), (0, "of another row"), (1, "second")):
                    changes.reject(row, reason)

        outcome = Tester(Several, {}).run([{}, {}, {"n": 1}])
        self.assertEqual(outcome.records, [{"n": 1}])
        self.assertEqual(sorted(outcome.rejected), [(0, "of another row"), (1, "first")])

    def test_the_fields_of_a_record_are_its_own_whatever_has_a_column_in_another(self) -> None:
        def fields(contents: dict[str, Any], rows: int) -> list[str]:
            record = Record(columns.Batch(borders.batch_of({"rows": rows, "columns": contents})), True)
            record._begin(rows - 1)
            self.assertEqual(record.integer("last"), 1)
            return [name for name, _ in record.fields()]

        rest = '{"last":1}'
        alone = fields({"a": {"int64": [2]}, "@rest": {"json": [rest]}}, 1)
        beside = {"a": {"int64": [None, 2]}, "@rest": {"json": [None, rest]}, "last": {"int64": [3, None]}}
        self.assertEqual(fields(beside, 2), alone)
        self.assertEqual(alone, ["@rest", "a"])

    def test_the_sdk_carries_the_contract(self) -> None:
        for name in ("filter.wit", "state.wit"):
            own = (SDK / "flitch_sdk" / "wit" / name).read_text(encoding="utf-8")
            self.assertEqual(own, (CASES.parent / name).read_text(encoding="utf-8"))

    def test_the_guests_world_is_made_of_the_contract_and_of_one_make_of_components(self) -> None:
        contract = (CASES.parent / "filter.wit").read_text(encoding="utf-8")
        self.assertIn("take: option<tuple<u32, u32>>", _world.guest_world(contract))
        with self.assertRaises(_world.OtherMake):
            _world.guest_world(contract.replace("take:", "taken:"))
        # A component with a type section, of two columns' scopes, and of none.
        pairs = [bytes((0x6F, 2, *kinds)) for kinds in ((0x79, 0x79), (0x79, 0x7A), (0x7A, 0x79))]
        head, scopes = bytes(8), [b"".join(pairs), b"".join([*pairs, pairs[0]])]
        made = _world.as_the_contract(head + b"".join(bytes((7, len(scope))) + scope for scope in scopes))
        lists = bytes((0x70, 0x79, 0x70, 0x78, 0x70, 0x75))
        self.assertEqual(made, head + bytes((7, 6)) + lists + bytes((7, 8)) + lists + lists[:2])
        with self.assertRaises(_world.OtherMake):
            _world.as_the_contract(head)

    def test_the_tutorial_shows_the_template(self) -> None:
        code = (SDK / "template" / "app.py").read_text(encoding="utf-8")
        self.assertIn(code.split("\n\n", 1)[1].strip(), (SDK / "README.md").read_text(encoding="utf-8"))

    def test_the_example_does_what_its_cases_say(self) -> None:
        import logline

        self.assertGreater(cases.run(SDK.parent / "example" / "cases", logline.Logline), 4)
        self.assertGreater(cases.run(SDK.parent / "example" / "cases", logline.LoglineByRecord), 4)

    def test_the_example_reads_lines_of_any_shape_as_their_pairs(self) -> None:
        import logline

        shapes = logline.Shapes()
        for line in ["a=1 b=2", "a=3 b=4", "b=1 a=2", "a=1  b=2", " a=1 b=2", "a=1 b=2 a=3", "x a=1", "a= b==2", "", "none", "a.b=1"] * 2:
            with self.subTest(line):
                pairs = dict(logline.find_pairs(line))
                read = shapes.read(line)
                self.assertEqual(dict(zip(read[0].keys, read[1])) if read else {}, pairs)
                for shape in list(shapes._known.values()):
                    if found := shape.match(line):
                        self.assertEqual(dict(zip(shape.keys, found.groups())), pairs)


if __name__ == "__main__":
    unittest.main()
