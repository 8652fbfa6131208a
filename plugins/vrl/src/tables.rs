//! `get_enrichment_table_record` and `find_enrichment_table_records`, over the tables of the host. They are no part of the
//! language's library, for Vector brings them.

use flitch_model::value::Scalar;
use flitch_sdk::rewrite::Tree as _;
use flitch_sdk::{TextBuilder, host};
use vrl::compiler::prelude::*;
use vrl::value::ObjectMap;

use crate::event::Remap;
use crate::functions::refused;

const PARAMETERS: &[Parameter] = &[
    Parameter::required("table", kind::BYTES, "The table's name in the configuration."),
    Parameter::required("condition", kind::OBJECT, "The column that holds the key, and the key."),
    Parameter::optional("select", kind::ARRAY, "The columns that are answered."),
    Parameter::optional(
        "case_sensitive",
        kind::BOOLEAN,
        "Whether the key has to be written as in the table.",
    ),
    Parameter::optional("wildcard", kind::BYTES, "A key that stands for any."),
];

/// Both functions.
pub fn all() -> [Box<dyn Function>; 2] {
    [Box::new(Find { several: false }), Box::new(Find { several: true })]
}

#[derive(Debug)]
struct Find {
    /// Whether the answer is a list.
    several: bool,
}

impl Function for Find {
    fn identifier(&self) -> &'static str {
        if self.several { "find_enrichment_table_records" } else { "get_enrichment_table_record" }
    }

    fn usage(&self) -> &'static str {
        "Looks a key up in a table of the configuration."
    }

    fn category(&self) -> &'static str {
        "Enrichment"
    }

    fn return_kind(&self) -> u16 {
        if self.several { kind::ARRAY } else { kind::OBJECT }
    }

    fn parameters(&self) -> &'static [Parameter] {
        PARAMETERS
    }

    fn examples(&self) -> &'static [Example] {
        &[]
    }

    fn compile(
        &self,
        state: &TypeState,
        cx: &mut FunctionCompileContext,
        arguments: ArgumentList,
    ) -> Compiled {
        let name = self.identifier();
        let table = arguments.required_literal("table", state)?;
        let table = table.try_bytes_utf8_lossy().map(|table| table.into_owned()).unwrap_or_default();
        if arguments.optional("wildcard").is_some() {
            return Err(refused(
                cx,
                format!("`wildcard` of `{name}` is not supported here: a table has one key for a row"),
            ));
        }
        if arguments.optional_literal("case_sensitive", state)?.is_some_and(|is| is == Value::Boolean(false))
        {
            let reason = format!(
                "`case_sensitive: false` of `{name}` is not supported here: write keys of the table in small letters, and \
                 `downcase` what is looked up"
            );
            return Err(refused(cx, reason));
        }
        let mut condition = arguments.required_object("condition")?.into_iter();
        let (Some((column, key)), None) = (condition.next(), condition.next()) else {
            let reason =
                format!("`condition` of `{name}` names one column here: a table has one for its key");
            return Err(refused(cx, reason));
        };
        let Some(select) = arguments.optional_array("select")? else {
            let reason = format!(
                "`{name}` needs `select` here, the columns that it answers: `select: [\"name\"]`, as a filter is told no others"
            );
            return Err(refused(cx, reason));
        };
        let mut want = Vec::with_capacity(select.len());
        for one in &select {
            let value = one.resolve_constant(state);
            match value.as_ref().and_then(|value| value.try_bytes_utf8_lossy().ok()) {
                Some(column) => want.push(column.into_owned()),
                None => {
                    return Err(refused(
                        cx,
                        format!("`select` of `{name}` has to be a list of texts as they stand"),
                    ));
                }
            }
        }
        // Asking for nothing shows whether the table and its columns are there.
        let asked = |want: &[String]| host::lookup(&table, &TextBuilder::default().finish(&*column), want);
        asked(&want).map_err(|error| refused(cx, error.to_string()))?;
        let answered = want.len();
        // Networks have no column of their key.
        let with_key: Vec<String> = want.iter().cloned().chain([column.to_string()]).collect();
        if asked(&with_key).is_ok() {
            want = with_key;
        }
        let key = Box::new(key) as Box<dyn Expression>;
        Ok(FindCall { table, key, want, answered, several: self.several }.as_expr())
    }
}

#[derive(Debug, Clone)]
struct FindCall {
    table: String,
    key: Box<dyn Expression>,
    /// The columns that are answered, and behind them that of the key.
    want: Vec<String>,
    answered: usize,
    several: bool,
}

impl FindCall {
    /// The row of a key, if there is one.
    fn row(&self, key: &Value) -> Result<Option<Value>, ExpressionError> {
        let mut text = Vec::new();
        let field = Remap::field(key).ok_or("the key is null, a list or an object")?;
        let is_key = Scalar::from(field).write_key(&mut text);
        let Some(text) = is_key.then(|| String::from_utf8(text).ok()).flatten() else { return Ok(None) };
        let mut keys = TextBuilder::default();
        keys.push(&text);
        let found = host::lookup(&self.table, &keys.finish("key"), &self.want);
        let columns = found.map_err(|error| error.to_string())?;
        let mut row = ObjectMap::new();
        let value = |name: &str| columns.iter().find(|column| column.name == name)?.value(0);
        let own = self.want.get(self.answered).and_then(|name| value(name));
        // Where the key came back there is a row, though it may have nothing of what is asked for.
        let is_there = own.is_some();
        if let Some(own) = own {
            let mut key = Vec::new();
            Scalar::from(own).write_key(&mut key);
            if key != text.as_bytes() {
                return Err(format!(
                    "`{}` is not the key of the table {}",
                    self.want[self.answered], self.table
                )
                .into());
            }
        }
        for name in &self.want[..self.answered] {
            if let Some(value) = value(name) {
                row.insert(name.as_str().into(), Remap::of(value));
            }
        }
        Ok((is_there || !row.is_empty()).then_some(Value::Object(row)))
    }
}

impl FunctionExpression for FindCall {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let key = self.key.resolve(context)?;
        match (self.row(&key)?, self.several) {
            (row, true) => Ok(Value::Array(row.into_iter().collect())),
            (Some(row), false) => Ok(row),
            (None, false) => Err("no row of the table has this key".into()),
        }
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        match self.several {
            true => TypeDef::array(Collection::from_unknown(Kind::object(Collection::any()))).fallible(),
            false => TypeDef::object(Collection::any()).fallible(),
        }
    }
}
