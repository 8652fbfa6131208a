//! What is built of the settings that all stores have.

use arrow_schema::TimeUnit;

use super::{Common, LONGEST};
use crate::OutputContext;
use crate::staging::{Ack, Compression, Plan, TablePlan};
use flitch_core::batch::encode::{Encoding, Format, TimestampFormat};
use flitch_core::batch::template::Template;
use flitch_core::setting::wrong;

/// What is built, and what a store is told of what is inside.
///
/// # Errors
/// The text names the key that is wrong.
pub(crate) fn plan(common: &Common<'_>, cx: &OutputContext) -> anyhow::Result<(Plan, &'static str)> {
    let key = common.key.to_string();
    anyhow::ensure!(
        !key.starts_with('/'),
        wrong!("key", " must not begin with `/`: names of objects do not")
    );
    anyhow::ensure!(
        !key.split('/').any(|part| matches!(part, "." | "..")),
        wrong!("key", " must not have a part `.` or `..`: `{key}`")
    );
    if let Some(why) = common.key.wrong_as_place() {
        anyhow::bail!(wrong!("key", ": {why}"));
    }
    let limits = [("max_bytes", common.max_bytes.0), ("max_staged", common.max_staged.0)];
    for (name, value) in limits {
        anyhow::ensure!(value > 0, wrong!("{name}", " of 0 leaves room for no record"));
    }
    anyhow::ensure!(common.max_open > 0, wrong!("max_open", " of 0 leaves room for no object"));
    for (name, time) in [("max_age", common.max_age), ("max_idle", common.max_idle)] {
        anyhow::ensure!(!time.0.is_zero(), wrong!("{name}", " of 0 would write each batch by itself"));
    }
    // One more byte, which the yard takes away again: a name that ends in a slash has no empty part then.
    let key = Template::parse(&format!("{key}_")).map_err(anyhow::Error::msg)?.for_paths();
    let (extension, content_type) = form(cx.encoder.encoding().format, common.compression)?;
    let plan = Plan {
        output: cx.name.clone(),
        folder: cx.state_dir.join("staging"),
        key,
        places: None,
        // Of lines in the default form that costs nothing: they are what dead letters have.
        keeps: *cx.encoder.encoding() == Encoding::default(),
        longest: LONGEST,
        part: LONGEST,
        has_id: true,
        encoder: cx.encoder.clone(),
        compression: common.compression,
        table: table(cx.encoder.encoding()),
        extension,
        bytes: common.max_bytes.0,
        age: common.max_age.0,
        idle: common.max_idle.0,
        open: common.max_open,
        held: common.max_staged.0,
        stored: common.ack == Ack::Stored,
        ledgers: cx.ledgers.clone(),
    };
    Ok((plan, content_type))
}

/// What the names of objects end in, and what stores are told of what is inside.
fn form(format: Format, compression: Compression) -> anyhow::Result<(String, &'static str)> {
    let (suffix, content_type) = match format {
        Format::Parquet => return Ok((".parquet".to_owned(), "application/vnd.apache.parquet")),
        Format::Ndjson => (".ndjson", "application/x-ndjson"),
        Format::Csv => (".csv", "text/csv"),
        Format::Text => (".log", "text/plain"),
        Format::Raw => (".bin", "application/octet-stream"),
    };
    let content_type = match compression {
        Compression::Zstd => "application/zstd",
        Compression::Gzip => "application/gzip",
        Compression::None => content_type,
        Compression::Snappy => anyhow::bail!(wrong!(
            "compression",
            ": `snappy` is for `encoding: {{ format: parquet }}`; text has `zstd` and `gzip`"
        )),
    };
    Ok((format!("{suffix}{}", compression.extension()), content_type))
}

/// How tables are made, where objects are such.
pub(crate) fn table(encoding: &Encoding) -> Option<TablePlan> {
    let unit = match encoding.timestamp_format {
        TimestampFormat::UnixMs => TimeUnit::Millisecond,
        TimestampFormat::UnixNs => TimeUnit::Nanosecond,
        _ => TimeUnit::Microsecond,
    };
    (encoding.format == Format::Parquet).then_some(TablePlan { unit, is_strict: false })
}
