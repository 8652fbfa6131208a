//! `parse_grok` and `parse_groks`. The language's own want Oniguruma, a library in C; these take the same patterns, and an
//! engine in Rust that looks ahead and back as well.

use std::collections::BTreeMap;
use std::sync::Arc;

use grok::{Grok, Pattern};
use vrl::compiler::expression::Expr;
use vrl::compiler::prelude::*;
use vrl::value::ObjectMap;

use crate::functions::refused;

/// One of the two, with what the language says of it.
#[derive(Debug)]
pub struct Parse {
    pub own: Box<dyn Function>,
    pub takes_several: bool,
}

impl Function for Parse {
    fn identifier(&self) -> &'static str {
        self.own.identifier()
    }

    fn usage(&self) -> &'static str {
        self.own.usage()
    }

    fn category(&self) -> &'static str {
        self.own.category()
    }

    fn return_kind(&self) -> u16 {
        self.own.return_kind()
    }

    fn parameters(&self) -> &'static [Parameter] {
        self.own.parameters()
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
        let mut grok = Grok::with_default_patterns();
        let patterns = if self.takes_several {
            let no_files = "`alias_sources` is not supported here: a filter has no files; write the patterns under `aliases`";
            if arguments.optional_array("alias_sources")?.is_some_and(|sources| !sources.is_empty()) {
                return Err(refused(cx, no_files.to_owned()));
            }
            for (name, pattern) in arguments.optional_object("aliases")?.unwrap_or_default() {
                let pattern = text("aliases", &pattern, state)?;
                is_plain(&pattern).map_err(|reason| refused(cx, reason))?;
                grok.add_pattern(name.to_string(), of_ruby(&pattern));
            }
            let patterns = arguments.required_array("patterns")?;
            patterns.iter().map(|one| text("patterns", one, state)).collect::<Result<Vec<_>, _>>()?
        } else {
            let pattern = arguments.required_literal("pattern", state)?;
            vec![pattern.try_bytes_utf8_lossy().map(|text| text.into_owned()).unwrap_or_default()]
        };
        let mut compiled = Vec::with_capacity(patterns.len());
        for pattern in &patterns {
            is_plain(pattern).map_err(|reason| refused(cx, reason))?;
            // In Ruby `^` and `$` are the ends of a line.
            let one = grok.compile(&format!("(?m){}", of_ruby(pattern)), true);
            compiled.push(one.map_err(|error| refused(cx, format!("the pattern `{pattern}`: {error}")))?);
        }
        let call = ParseCall {
            value: arguments.required("value"),
            patterns: Patterns(Arc::new(compiled)),
            nests: self.takes_several,
        };
        Ok(call.as_expr())
    }
}

/// A text that the program has as it stands.
fn text(keyword: &'static str, expression: &Expr, state: &TypeState) -> Result<String, function::Error> {
    let value = expression.resolve_constant(state);
    let value = value.as_ref().and_then(|value| value.try_bytes_utf8_lossy().ok());
    value.map(|text| text.into_owned()).ok_or_else(|| function::Error::ExpectedStaticExpression {
        keyword,
        expr: Box::new(expression.clone()),
    })
}

/// Whether a pattern asks for nothing but patterns.
///
/// # Errors
/// What it asks for besides.
fn is_plain(pattern: &str) -> Result<(), String> {
    for part in pattern.split("%{").skip(1) {
        let Some((inside, _)) = part.split_once('}') else { continue };
        if inside.contains('(') || inside.matches(':').count() > 1 {
            return Err(format!(
                "`%{{{inside}}}` is not supported here: matchers and filters are Datadog's; take the text apart by a pattern, and \
                 turn it into something else behind that: `to_int`, `parse_timestamp`"
            ));
        }
    }
    Ok(())
}

/// A pattern of Ruby's, as Oniguruma reads it, in the words of this engine: `m` lets a dot match the end of a line, which is `s` here.
fn of_ruby(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(at) = rest.find(['\\', '[', ']', '(']) {
        let sign = rest.as_bytes()[at];
        // What a backslash stands before, and a bracket at the beginning of a class, are characters.
        let more = match sign {
            b'\\' => rest[at + 1..].chars().next().map_or(0, char::len_utf8),
            b'[' => {
                let behind = &rest[at + 1..];
                let negated = usize::from(behind.starts_with('^'));
                negated + usize::from(behind[negated..].starts_with(']'))
            }
            _ => 0,
        };
        in_class = sign == b'[' || in_class && sign != b']';
        let end = at + 1 + more;
        out.push_str(&rest[..end]);
        rest = &rest[end..];
        let flags = rest.strip_prefix('?').filter(|_| sign == b'(' && !in_class).unwrap_or_default();
        let length = flags.bytes().take_while(|byte| byte.is_ascii_alphabetic() || *byte == b'-').count();
        if matches!(flags.as_bytes().get(length), Some(b':' | b')')) {
            out.push('?');
            out.push_str(&flags[..length].replace('m', "s"));
            rest = &flags[length..];
        }
    }
    out.push_str(rest);
    out
}

#[derive(Clone)]
struct Patterns(Arc<Vec<Pattern>>);

impl std::fmt::Debug for Patterns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} patterns", self.0.len())
    }
}

#[derive(Debug, Clone)]
struct ParseCall {
    value: Box<dyn Expression>,
    patterns: Patterns,
    /// Whether dots in names lead into objects.
    nests: bool,
}

impl FunctionExpression for ParseCall {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let value = self.value.resolve(context)?;
        let text = value.try_bytes_utf8_lossy()?;
        let Some(found) = self.patterns.0.iter().find_map(|pattern| pattern.match_against(&text)) else {
            return Err("unable to parse input with grok pattern".into());
        };
        let mut fields = ObjectMap::new();
        for (name, value) in found.iter().collect::<BTreeMap<_, _>>() {
            let mut inner = &mut fields;
            let mut last = name;
            while let Some((above, below)) = last.split_once('.').filter(|_| self.nests) {
                let entry = inner.entry(above.into()).or_insert_with(|| Value::Object(ObjectMap::new()));
                // What is text already is no object; the longer name stands in its place.
                if !entry.is_object() {
                    *entry = Value::Object(ObjectMap::new());
                }
                inner = entry.as_object_mut().expect("it was made one");
                last = below;
            }
            inner.insert(last.into(), Value::from(value));
        }
        Ok(Value::Object(fields))
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        TypeDef::object(Collection::any()).fallible()
    }
}
