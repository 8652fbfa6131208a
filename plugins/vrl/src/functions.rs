//! The functions that a program may call: the language's own, of which some are replaced.

use flitch_sdk::host;
use vrl::compiler::prelude::*;
use vrl::diagnostic::{DiagnosticMessage, Label};

use crate::{grok, tables};

/// What a guest without files and network cannot do, and what to do instead.
const UNSUPPORTED: [(&str, &str); 9] = [
    ("dns_lookup", "a filter has no network"),
    ("reverse_dns", "a filter has no network"),
    ("http_request", "a filter has no network; a table of the configuration may be fetched"),
    ("get_env_var", "the configuration has ${NAME}"),
    ("get_hostname", "sources add the host's name: .host"),
    ("get_timezone_name", "it is the setting `timezone`"),
    ("parse_proto", "a filter has no files; the filter `protobuf` decodes messages"),
    ("encode_proto", "a filter has no files"),
    ("validate_json_schema", "a filter has no files"),
];

/// What is no part of the language's library, for Vector brings it, and what to do instead.
const OF_VECTOR: [(&str, &str); 4] = [
    (
        "get_secret",
        "a filter is told no secrets; the configuration has ${NAME} and ${file:…}, in `source` too",
    ),
    ("set_secret", "outputs of flitch have their secrets in the configuration"),
    ("remove_secret", "outputs of flitch have their secrets in the configuration"),
    ("set_semantic_meaning", "outputs of flitch go by names: set `.@timestamp`, `.message` and the like"),
];

/// All functions.
pub fn all() -> Vec<Box<dyn Function>> {
    let replaced = |function: Box<dyn Function>| -> Box<dyn Function> {
        let name = function.identifier();
        match (name, UNSUPPORTED.iter().find(|(unsupported, _)| *unsupported == name)) {
            ("log", _) => Box::new(Log(function)),
            ("parse_grok" | "parse_groks", _) => {
                Box::new(grok::Parse { takes_several: name == "parse_groks", own: function })
            }
            (_, Some((_, instead))) => Box::new(Unsupported { function, instead }),
            _ => function,
        }
    };
    let of_vector =
        OF_VECTOR.map(|(name, instead)| -> Box<dyn Function> { Box::new(OfVector { name, instead }) });
    vrl::stdlib::all().into_iter().map(replaced).chain(tables::all()).chain(of_vector).collect()
}

/// The problem that refuses a program which calls a function so.
pub fn refused(context: &FunctionCompileContext, message: String) -> Box<dyn DiagnosticMessage> {
    Box::new(ExpressionError::Error {
        labels: vec![Label::primary("it is called here", context.span())],
        message,
        notes: Vec::new(),
    })
}

/// A function that refuses the program which calls it.
#[derive(Debug)]
struct Unsupported {
    function: Box<dyn Function>,
    instead: &'static str,
}

impl Function for Unsupported {
    fn identifier(&self) -> &'static str {
        self.function.identifier()
    }

    fn usage(&self) -> &'static str {
        self.function.usage()
    }

    fn category(&self) -> &'static str {
        self.function.category()
    }

    fn return_kind(&self) -> u16 {
        self.function.return_kind()
    }

    fn parameters(&self) -> &'static [Parameter] {
        self.function.parameters()
    }

    fn examples(&self) -> &'static [Example] {
        &[]
    }

    fn compile(&self, _: &TypeState, context: &mut FunctionCompileContext, _: ArgumentList) -> Compiled {
        let reason = format!("`{}` is not supported here: {}", self.identifier(), self.instead);
        Err(refused(context, reason))
    }
}

/// The same of one that the language's library has not.
#[derive(Debug)]
struct OfVector {
    name: &'static str,
    instead: &'static str,
}

impl Function for OfVector {
    fn identifier(&self) -> &'static str {
        self.name
    }

    fn usage(&self) -> &'static str {
        "It is refused."
    }

    fn category(&self) -> &'static str {
        "System"
    }

    fn return_kind(&self) -> u16 {
        kind::ANY
    }

    fn parameters(&self) -> &'static [Parameter] {
        const { &[Parameter::optional("key", kind::ANY, ""), Parameter::optional("value", kind::ANY, "")] }
    }

    fn examples(&self) -> &'static [Example] {
        &[]
    }

    fn compile(&self, _: &TypeState, context: &mut FunctionCompileContext, _: ArgumentList) -> Compiled {
        Err(refused(context, format!("`{}` is not supported here: {}", self.name, self.instead)))
    }
}

/// `log`, into the host's log.
#[derive(Debug)]
struct Log(Box<dyn Function>);

impl Function for Log {
    fn identifier(&self) -> &'static str {
        self.0.identifier()
    }

    fn usage(&self) -> &'static str {
        self.0.usage()
    }

    fn category(&self) -> &'static str {
        self.0.category()
    }

    fn return_kind(&self) -> u16 {
        self.0.return_kind()
    }

    fn pure(&self) -> bool {
        false
    }

    fn parameters(&self) -> &'static [Parameter] {
        self.0.parameters()
    }

    fn examples(&self) -> &'static [Example] {
        &[]
    }

    fn compile(&self, _: &TypeState, _: &mut FunctionCompileContext, arguments: ArgumentList) -> Compiled {
        Ok(LogCall { value: arguments.required("value"), level: arguments.optional("level") }.as_expr())
    }
}

#[derive(Debug, Clone)]
struct LogCall {
    value: Box<dyn Expression>,
    level: Option<Box<dyn Expression>>,
}

impl FunctionExpression for LogCall {
    fn resolve(&self, context: &mut Context) -> Resolved {
        let value = self.value.resolve(context)?;
        let level = self.level.as_ref().map(|level| level.resolve(context)).transpose()?;
        let level = level.as_ref().and_then(|level| level.as_bytes()).map(|level| &**level);
        // How often a line may come is the host's affair: the language's `rate_limit_secs` is taken and not kept.
        let text = value.to_string_lossy();
        match level {
            Some(b"trace" | b"debug") => host::debug(&text),
            Some(b"warn") => host::warn(&text),
            Some(b"error") => host::error(&text),
            _ => host::info(&text),
        }
        Ok(Value::Null)
    }

    fn type_def(&self, _: &TypeState) -> TypeDef {
        TypeDef::null().infallible().impure()
    }
}
