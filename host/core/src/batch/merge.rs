//! Several batches' records as one: what the parts of a batch became that went through a filter one by one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, new_null_array};
use arrow_schema::{ArrowError, FieldRef};

use super::convert::{common_kind, convert, repeat};
use super::origin::Origins;
use super::{Column, Kind, Records};

/// The records of all `parts`, in their order.
///
/// A column that some parts lack is absent in their rows. Where its kind differs between parts it becomes one that
/// holds all its values (see [`common_kind`]). What is the same constant in each part stays a constant.
pub fn concat(parts: &[Records]) -> Result<Records, ArrowError> {
    let filled: Vec<&Records> = parts.iter().filter(|part| part.rows() > 0).collect();
    let parts = match &filled[..] {
        [] => {
            return parts.first().map_or_else(|| Records::of(0, vec![], vec![]), |part| Ok(part.slice(0, 0)));
        }
        [one] => return Ok(one.slice(0, one.rows())),
        parts => parts,
    };
    let rows = parts.iter().map(|part| part.rows()).sum();
    let mut names: Vec<&str> = Vec::new();
    let mut seen = HashSet::with_hasher(ahash::RandomState::new());
    for column in parts.iter().flat_map(|part| part.iter()) {
        let name = column.field().name().as_str();
        if seen.insert(name) {
            names.push(name);
        }
    }
    let (mut columns, mut constants) = (Vec::new(), Vec::new());
    // Parts may have a thousand columns each, and few of them in common.
    let of_parts: Vec<HashMap<&str, Column<'_>, ahash::RandomState>> =
        parts.iter().map(|part| part.iter().map(|c| (c.field().name().as_str(), c)).collect()).collect();
    for name in names {
        let found: Vec<_> =
            parts.iter().zip(&of_parts).map(|(part, of)| (part.rows(), of.get(name).copied())).collect();
        match shared_constant(&found) {
            Some(constant) => constants.push(constant),
            None => columns.push(joined(name, &found)?),
        }
    }
    let origins: Option<Vec<&Origins>> = parts.iter().map(|part| part.origins()).collect();
    Ok(Records::of(rows, columns, constants)?.with_origins(origins.map(|all| Origins::concat(&all))))
}

fn shared_constant(found: &[(usize, Option<Column<'_>>)]) -> Option<(FieldRef, ArrayRef)> {
    let Some(Column::Constant(field, array)) = found.first()?.1 else { return None };
    let same = |column: &Option<Column<'_>>| match column {
        Some(Column::Constant(f, a)) => f.data_type() == field.data_type() && *a == array && *f == field,
        _ => false,
    };
    found.iter().all(|(_, column)| same(column)).then(|| (field.clone(), array.clone()))
}

fn joined(name: &str, found: &[(usize, Option<Column<'_>>)]) -> Result<(FieldRef, ArrayRef), ArrowError> {
    let kinds: Vec<(Kind, &ArrayRef)> = found
        .iter()
        .filter_map(|(_, column)| Some((Kind::of((*column)?.field())?, (*column)?.array())))
        .filter(|(_, array)| array.null_count() < array.len())
        .collect();
    let kind = common_kind(&kinds);
    let field = Arc::new(kind.field(name));
    let parts: Vec<ArrayRef> = found
        .iter()
        .map(|(rows, column)| {
            let values = column.and_then(|c| {
                let array = c.array();
                let from = Kind::of(c.field()).filter(|_| array.null_count() < array.len())?;
                let array = convert(array, from, kind);
                Some(if let Column::Constant(..) = c { repeat(&array, *rows) } else { array })
            });
            values.unwrap_or_else(|| new_null_array(field.data_type(), *rows))
        })
        .collect();
    let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    Ok((field, arrow_select::concat::concat(&parts)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::builder::Builder;
    use crate::batch::constants::Constants;
    use crate::batch::decode::decode_line;
    use crate::batch::utf8::InvalidUtf8;

    fn part(constants: &Constants, lines: &[&str]) -> Records {
        let mut builder = Builder::new();
        for line in lines {
            decode_line(&mut builder, line.as_bytes()).expect("JSON");
        }
        builder.finish(InvalidUtf8::Replace, constants).records
    }

    #[test]
    fn records_of_several_batches_stand_in_one_with_equal_values() {
        let tag = Constants::new().text("@tag", "t");
        let parts = [
            part(&tag.clone().text("host", "a"), &[r#"{"n":1,"s":"x"}"#, r#"{"o":{"p":true}}"#]),
            part(&tag.clone().text("host", "b"), &[r#"{"n":0.5,"s":7}"#]),
            part(&tag, &[r#"{"n":3,"s":null}"#, "{}"]),
        ];
        let whole = concat(&parts).expect("records");
        assert_eq!(whole.rows(), 5);
        assert_eq!(whole.constants().num_columns(), 1);
        let kind = |name| whole.column(name).and_then(|c| Kind::of(c.field()));
        assert_eq!(kind("n"), Some(Kind::Json));
        assert_eq!(kind("s"), Some(Kind::Json));
        let expected = [
            r#"{"@tag":"t","host":"a","n":1,"s":"x"}"#,
            r#"{"@tag":"t","host":"a","o":{"p":true}}"#,
            r#"{"@tag":"t","host":"b","n":0.5,"s":7}"#,
            r#"{"@tag":"t","n":3,"s":null}"#,
            r#"{"@tag":"t"}"#,
        ];
        let text = whole.ndjson();
        for (row, expected) in expected.iter().enumerate() {
            assert_eq!(std::str::from_utf8(text.row(row)), Ok(format!("{expected}\n").as_str()));
        }
        let [first, ..] = parts;
        assert_eq!(concat(&[first]).expect("records").rows(), 2);
    }

    #[test]
    fn no_batches_are_no_records() {
        assert_eq!(concat(&[]).expect("records").rows(), 0);
    }
}
