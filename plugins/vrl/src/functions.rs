//! The functions that a program may call: the language's own, of which some are replaced.

use flitch_sdk::host;
use vrl::compiler::prelude::*;

/// What a guest without files and network cannot do, and what to do instead.
const UNSUPPORTED: [(&str, &str); 11] = [
    ("dns_lookup", "a filter has no network"),
    ("reverse_dns", "a filter has no network"),
    ("http_request", "a filter has no network; a table of the configuration may be fetched"),
    ("get_env_var", "the configuration has ${NAME}"),
    ("get_hostname", "sources add the host's name: .host"),
    ("get_timezone_name", "it is the setting `timezone`"),
    ("parse_proto", "a filter has no files; the filter `protobuf` decodes messages"),
    ("encode_proto", "a filter has no files"),
    ("parse_grok", "put the filter `grok` before this one"),
    ("parse_groks", "put the filter `grok` before this one"),
    ("validate_json_schema", "a filter has no files"),
];

/// All functions.
pub fn all() -> Vec<Box<dyn Function>> {
    let replaced = |function: Box<dyn Function>| -> Box<dyn Function> {
        let name = function.identifier();
        match UNSUPPORTED.iter().find(|(unsupported, _)| *unsupported == name) {
            _ if name == "log" => Box::new(Log(function)),
            Some((_, instead)) => Box::new(Unsupported { function, instead }),
            None => function,
        }
    };
    vrl::stdlib::all().into_iter().map(replaced).collect()
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
        Err(Box::new(ExpressionError::Error {
            labels: vec![vrl::diagnostic::Label::primary("it is called here", context.span())],
            message: reason,
            notes: Vec::new(),
        }))
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
