use super::*;

fn texts(columns: &[Column], row: usize) -> Vec<(&str, String)> {
    let value = |column: &Column| column.value(row).map(|value| json::text_of(value).into_owned());
    columns.iter().filter_map(|column| Some((column.name.as_str(), value(column)?))).collect()
}

#[test]
fn a_value_replaces_what_stands_above_and_below_it_whichever_column_came_first() {
    let orders = [["a", "a.b", "a.b.c"], ["a.b.c", "a", "a.b"], ["a.b", "a.b.c", "a"]];
    for (order, last) in orders.iter().flat_map(|order| order.map(|last| (order, last))) {
        let mut columns = ColumnSet::default();
        for (row, path) in order.iter().enumerate() {
            columns.begin_row();
            columns.set(row, path, Value::Int64(1));
        }
        columns.begin_row();
        // Names that only begin as the others do are their own.
        for path in ["ab", r"a\.b", "a-b"].iter().chain(order).chain([&last]) {
            columns.set(3, path, Value::Int64(2));
        }
        let two = |name| (name, "2".to_owned());
        let columns = columns.finish(4);
        let mut found = texts(&columns, 3);
        found.sort();
        let mut expected = vec![two("ab"), two(r"a\.b"), two("a-b"), two(last)];
        expected.sort();
        assert_eq!(found, expected, "{order:?}, then {last}");
    }
}

#[test]
fn more_columns_than_an_answer_may_set_are_an_answer_that_the_host_refuses() {
    for (names, rows) in [(MAX_SET, 1), (MAX_SET + 1, 1), (MAX_SET + 1, 7), (100 * MAX_SET, 7)] {
        let mut columns = ColumnSet::with_capacity(rows, 1 << 20);
        for name in 0..names {
            columns.set(0, &format!("name{name}"), Value::Int64(1));
        }
        assert!(columns.len() <= MAX_SET + 1, "{names} names");
        let columns = columns.finish(rows);
        assert_eq!(columns.len(), names.min(MAX_SET + 1));
        assert!(columns.iter().all(|column| column.value(0).is_some()), "{names} names");
    }
}
