//! Parquet files as others read them: pyarrow and DuckDB, each by itself.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cache;
use crate::process::run;

/// Prints each row of each file below a folder as JSON: a null is no member, a time is microseconds, a JSON text is what it
/// says.
const READ: &str = r#"
import json, pathlib, sys
reader, folder = sys.argv[1:]

def arrow(path):
    import pyarrow as pa, pyarrow.parquet as pq
    file = pq.ParquetFile(path)
    logical = {file.schema.column(i).path: file.schema.column(i).logical_type.type for i in range(len(file.schema))}
    table = file.read()
    columns = {}
    for field, column in zip(table.schema, table.columns):
        if pa.types.is_timestamp(field.type):
            assert field.type.tz == "UTC", field
            columns[field.name] = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_pylist()
        elif logical[field.name] == "JSON":
            columns[field.name] = [v and json.loads(v) for v in column.cast(pa.string()).to_pylist()]
        else:
            columns[field.name] = column.to_pylist()
    return [dict(zip(columns, row)) for row in zip(*columns.values())]

def duck(path):
    import duckdb
    source = f"read_parquet('{path}')"
    described = duckdb.sql(f"describe select * from {source}").fetchall()
    def column(name, kind):
        name = '"' + name.replace('"', '""') + '"'
        return f"epoch_us({name})" if kind == "TIMESTAMP WITH TIME ZONE" else f"{name}::varchar" if kind == "JSON" else name
    rows = duckdb.sql("select " + ", ".join(column(d[0], d[1]) for d in described) + f" from {source}").fetchall()
    def value(kind, value):
        return json.loads(value) if kind == "JSON" and value is not None else value
    return [{d[0]: value(d[1], v) for d, v in zip(described, row)} for row in rows]

for path in sorted(pathlib.Path(folder).rglob("*.parquet")):
    for row in {"pyarrow": arrow, "duckdb": duck}[reader](path):
        row = {name: v.decode("utf-8", "replace") if isinstance(v, bytes) else v for name, v in row.items() if v is not None}
        print(json.dumps(row))
"#;

/// Prints the answer to a query as one JSON text.
const QUERY: &str = r#"
import duckdb, json, sys
print(json.dumps(duckdb.sql(sys.argv[1]).fetchall(), default=str))
"#;

fn python(script: &str, arguments: &[&str]) -> Result<String> {
    let packages = cache().join("parquet-readers");
    if !packages.join("pyarrow").exists() {
        bail!("no readers of Parquet in {}: run `make servers`", packages.display());
    }
    run(Command::new("python3").arg("-c").arg(script).args(arguments).env("PYTHONPATH", packages))
}

/// The rows of all Parquet files below a folder, as `pyarrow` or `duckdb` reads them.
///
/// # Errors
/// A file is none; the text holds what the reader says.
pub fn rows(reader: &str, folder: &Path) -> Result<Vec<Value>> {
    let text = python(READ, &[reader, &folder.to_string_lossy()])?;
    text.lines().map(|line| serde_json::from_str(line).context("the script prints JSON")).collect()
}

/// The answer of DuckDB to a query, row by row.
///
/// # Errors
/// The query is none.
pub fn query(sql: &str) -> Result<Vec<Vec<Value>>> {
    Ok(serde_json::from_str(&python(QUERY, &[sql])?)?)
}
