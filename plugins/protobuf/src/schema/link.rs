//! From descriptors to a schema: names become places, and features what they mean for each field.

use super::features::Features;
use super::{Cardinality, Enum, Field, Kind, Known, Message, Schema, read};
use flitch_model::json::quoted;
use std::collections::HashMap;

/// Numbers of fields that are found without a search.
const SMALL: u32 = 128;

/// What a name stands for.
#[derive(Clone, Copy)]
enum Named {
    Message(usize),
    Enum(usize),
}

#[derive(Default)]
struct Linker<'a> {
    schema: Schema,
    names: HashMap<String, Named>,
    /// The fields, each with the message that it belongs to, what holds for it, and, of an extension, its name.
    fields: Vec<(Owner<'a>, &'a read::Field<'a>, Features)>,
    by_json_name: bool,
}

enum Owner<'a> {
    Message(usize),
    /// The name of a message of another place, and the scope that the extension is named in.
    Extended(&'a str, String),
}

/// The schema of these files.
///
/// # Errors
/// What contradicts itself, or names what is not there.
pub(super) fn link(files: &[read::File<'_>], by_json_name: bool) -> Result<Schema, String> {
    let mut linker = Linker { by_json_name, ..Linker::default() };
    for file in files {
        linker.file(file).map_err(|wrong| format!("{}: {wrong}", file.name))?;
    }
    linker.finish()
}

fn join(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

impl<'a> Linker<'a> {
    fn file(&mut self, file: &'a read::File<'a>) -> Result<(), String> {
        let features = Features::of(file.syntax, file.edition)?.overlaid(file.features)?;
        for (number, message) in file.messages.iter().enumerate() {
            self.message(message, file.package, features, &[number as u32])?;
        }
        for one in &file.enums {
            self.enumeration(one, file.package, features)?;
        }
        self.extensions(&file.extensions, file.package, features)
    }

    fn message(
        &mut self,
        message: &'a read::Message<'a>,
        scope: &str,
        features: Features,
        place: &[u32],
    ) -> Result<(), String> {
        let name = join(scope, message.name);
        let features = features.overlaid(message.features)?;
        let number = self.schema.messages.len();
        self.name(&name, Named::Message(number))?;
        self.schema.messages.push(Message {
            known: Known::of(&name),
            name: name.clone(),
            is_map_entry: message.is_map_entry,
            place: place.to_vec(),
            ..Message::default()
        });
        for field in &message.fields {
            let features = features.overlaid(field.features)?;
            self.fields.push((Owner::Message(number), field, features));
        }
        for (number, inner) in message.messages.iter().enumerate() {
            self.message(inner, &name, features, &[place, &[number as u32]].concat())?;
        }
        for one in &message.enums {
            self.enumeration(one, &name, features)?;
        }
        self.extensions(&message.extensions, &name, features)
    }

    fn extensions(
        &mut self,
        fields: &'a [read::Field<'a>],
        scope: &str,
        features: Features,
    ) -> Result<(), String> {
        for field in fields {
            let features = features.overlaid(field.features)?;
            self.fields.push((Owner::Extended(field.extendee, scope.to_owned()), field, features));
        }
        Ok(())
    }

    fn enumeration(
        &mut self,
        one: &'a read::Enum<'a>,
        scope: &str,
        features: Features,
    ) -> Result<(), String> {
        let name = join(scope, one.name);
        let features = features.overlaid(one.features)?;
        self.name(&name, Named::Enum(self.schema.enums.len()))?;
        let mut values: Vec<(i32, String)> =
            one.values.iter().map(|(number, name)| (*number, (*name).to_owned())).collect();
        // Stable, so that of several names of a number the first one comes first.
        values.sort_by_key(|(number, _)| *number);
        values.dedup_by_key(|(number, _)| *number);
        let first = one.values.first().map_or(0, |(number, _)| *number);
        self.schema.enums.push(Enum { name, values, first, is_closed: features.is_closed });
        Ok(())
    }

    fn name(&mut self, name: &str, what: Named) -> Result<(), String> {
        match self.names.insert(name.to_owned(), what) {
            None => Ok(()),
            Some(_) => Err(format!("`{name}` is there twice")),
        }
    }

    fn find(&self, name: &str) -> Result<Named, String> {
        let found = self.names.get(name.strip_prefix('.').unwrap_or(name));
        found.copied().ok_or_else(|| {
            let name = name.trim_start_matches('.');
            format!("`{name}` is not in the set; write it with `protoc --include_imports`")
        })
    }

    fn finish(mut self) -> Result<Schema, String> {
        for (owner, field, features) in std::mem::take(&mut self.fields) {
            let (message, name) = match owner {
                Owner::Message(message) => (message, None),
                Owner::Extended(extendee, scope) => {
                    // Of options, which descriptors themselves have, it does not matter.
                    let Ok(Named::Message(message)) = self.find(extendee) else { continue };
                    (message, Some(format!("[{}]", join(&scope, field.name))))
                }
            };
            let linked = self.field(field, name, features);
            let message = &mut self.schema.messages[message];
            let linked = linked.map_err(|wrong| format!("{}.{}: {wrong}", message.name, field.name))?;
            message.fields.push(linked);
        }
        for (name, named) in self.names {
            if let Named::Message(number) = named {
                self.schema.by_name.insert(name, number);
            }
        }
        self.schema.messages.iter_mut().try_for_each(Message::index)?;
        Ok(self.schema)
    }

    fn field(
        &self,
        field: &read::Field<'_>,
        name: Option<String>,
        features: Features,
    ) -> Result<Field, String> {
        let kind = match (field.kind, field.type_name) {
            (1, _) => Kind::Double,
            (2, _) => Kind::Float,
            (3, _) => Kind::Int64,
            (4, _) => Kind::Uint64,
            (5, _) => Kind::Int32,
            (6, _) => Kind::Fixed64,
            (7, _) => Kind::Fixed32,
            (8, _) => Kind::Bool,
            (9, _) => Kind::String,
            (12, _) => Kind::Bytes,
            (13, _) => Kind::Uint32,
            (15, _) => Kind::Sfixed32,
            (16, _) => Kind::Sfixed64,
            (17, _) => Kind::Sint32,
            (18, _) => Kind::Sint64,
            (10 | 11 | 14, name) => match self.find(name)? {
                Named::Message(number) => Kind::Message(number),
                Named::Enum(number) => Kind::Enum(number),
            },
            (other, _) => return Err(format!("there is no type {other}")),
        };
        let has_presence = field.oneof.is_some() || field.is_optional || matches!(kind, Kind::Message(_));
        let cardinality = match field.label {
            3 => Cardinality::Repeated,
            2 => Cardinality::Required,
            _ if features.is_required => Cardinality::Required,
            _ if has_presence || name.is_some() || !features.is_implicit => Cardinality::Explicit,
            _ => Cardinality::Implicit,
        };
        let number = u32::try_from(field.number).ok().filter(|number| (1..1 << 29).contains(number));
        let shown = match (name, field.json_name) {
            (Some(extension), _) => extension,
            (None, Some(json)) if self.by_json_name => json.to_owned(),
            (None, None) if self.by_json_name => camel(field.name),
            (None, _) => field.name.to_owned(),
        };
        Ok(Field {
            number: number.ok_or_else(|| format!("{} is no number of a field", field.number))?,
            member: format!("{}:", quoted(&shown)),
            name: shown,
            kind,
            cardinality,
            oneof: field.oneof.map(|number| number as u32),
            default: field.default.map(str::to_owned),
            is_utf8: features.is_utf8,
        })
    }
}

/// The name that a field has in JSON where the schema gives it none.
pub(crate) fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

impl Message {
    /// Puts the fields in order.
    fn index(&mut self) -> Result<(), String> {
        self.fields.sort_by_key(|field| field.number);
        if let Some(two) = self.fields.windows(2).find(|two| two[0].number == two[1].number) {
            let [one, other] = [&two[0], &two[1]];
            return Err(format!(
                "{}: `{}` and `{}` have one number, {}",
                self.name, one.name, other.name, one.number
            ));
        }
        let small = self.fields.iter().take_while(|field| field.number < SMALL);
        for (place, field) in small.enumerate() {
            self.small.resize(field.number as usize + 1, 0);
            self.small[field.number as usize] = place as u16 + 1;
        }
        Ok(())
    }
}
