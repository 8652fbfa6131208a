//! Descriptors as they are written, with what is needed of them.

use crate::wire::{Raw, Wire};

/// Most messages within one another.
const MAX_DEPTH: usize = 64;

/// A `FileDescriptorProto`.
#[derive(Debug, Default)]
pub struct File<'a> {
    pub name: &'a str,
    pub package: &'a str,
    pub syntax: &'a str,
    pub edition: u64,
    pub features: Option<&'a [u8]>,
    pub messages: Vec<Message<'a>>,
    pub enums: Vec<Enum<'a>>,
    pub extensions: Vec<Field<'a>>,
}

/// A `DescriptorProto`.
#[derive(Debug, Default)]
pub struct Message<'a> {
    pub name: &'a str,
    pub features: Option<&'a [u8]>,
    pub is_map_entry: bool,
    pub fields: Vec<Field<'a>>,
    pub messages: Vec<Message<'a>>,
    pub enums: Vec<Enum<'a>>,
    pub extensions: Vec<Field<'a>>,
}

/// A `FieldDescriptorProto`.
#[derive(Debug, Default)]
pub struct Field<'a> {
    pub name: &'a str,
    pub json_name: Option<&'a str>,
    pub number: u64,
    pub label: u64,
    pub kind: u64,
    pub type_name: &'a str,
    pub extendee: &'a str,
    pub default: Option<&'a str>,
    pub oneof: Option<u64>,
    pub is_optional: bool,
    pub features: Option<&'a [u8]>,
}

/// An `EnumDescriptorProto`.
#[derive(Debug, Default)]
pub struct Enum<'a> {
    pub name: &'a str,
    pub features: Option<&'a [u8]>,
    pub values: Vec<(i32, &'a str)>,
}

/// Calls `take` with each field.
fn each<'a>(bytes: &'a [u8], mut take: impl FnMut(u32, Raw<'a>) -> Result<(), String>) -> Result<(), String> {
    let mut wire = Wire::new(bytes);
    while let Some((number, raw)) = wire.field()? {
        take(number, raw)?;
    }
    Ok(())
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|_| "a name that is not UTF-8".to_owned())
}

/// The last bytes of field `wanted`.
fn member(bytes: &[u8], wanted: u32) -> Result<Option<&[u8]>, String> {
    let mut found = None;
    each(bytes, |number, raw| {
        if let (true, Raw::Bytes(bytes)) = (number == wanted, raw) {
            found = Some(bytes);
        }
        Ok(())
    })?;
    Ok(found)
}

/// The files of a `FileDescriptorSet`.
///
/// # Errors
/// The bytes are none.
pub fn files(set: &[u8]) -> Result<Vec<File<'_>>, String> {
    let mut files = Vec::new();
    each(set, |number, raw| {
        if let (1, Raw::Bytes(bytes)) = (number, raw) {
            files.push(file(bytes)?);
        }
        Ok(())
    })?;
    Ok(files)
}

fn file(bytes: &[u8]) -> Result<File<'_>, String> {
    let mut file = File::default();
    each(bytes, |number, raw| {
        match (number, raw) {
            (1, Raw::Bytes(name)) => file.name = text(name)?,
            (2, Raw::Bytes(package)) => file.package = text(package)?,
            (4, Raw::Bytes(bytes)) => file.messages.push(message(bytes, 0)?),
            (5, Raw::Bytes(bytes)) => file.enums.push(enumeration(bytes)?),
            (7, Raw::Bytes(bytes)) => file.extensions.push(field(bytes)?),
            (8, Raw::Bytes(options)) => file.features = member(options, 50)?,
            (12, Raw::Bytes(syntax)) => file.syntax = text(syntax)?,
            (14, Raw::Varint(edition)) => file.edition = edition,
            _ => {}
        }
        Ok(())
    })?;
    Ok(file)
}

fn message(bytes: &[u8], depth: usize) -> Result<Message<'_>, String> {
    if depth == MAX_DEPTH {
        return Err(format!("more than {MAX_DEPTH} messages within one another"));
    }
    let mut message = Message::default();
    each(bytes, |number, raw| {
        let Raw::Bytes(bytes) = raw else { return Ok(()) };
        match number {
            1 => message.name = text(bytes)?,
            2 => message.fields.push(field(bytes)?),
            3 => message.messages.push(self::message(bytes, depth + 1)?),
            4 => message.enums.push(enumeration(bytes)?),
            6 => message.extensions.push(field(bytes)?),
            7 => {
                message.features = member(bytes, 12)?;
                each(bytes, |number, raw| {
                    if let (7, Raw::Varint(is)) = (number, raw) {
                        message.is_map_entry = is != 0;
                    }
                    Ok(())
                })?;
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(message)
}

fn field(bytes: &[u8]) -> Result<Field<'_>, String> {
    let mut field = Field::default();
    each(bytes, |number, raw| {
        match (number, raw) {
            (1, Raw::Bytes(name)) => field.name = text(name)?,
            (2, Raw::Bytes(name)) => field.extendee = text(name)?,
            (3, Raw::Varint(number)) => field.number = number,
            (4, Raw::Varint(label)) => field.label = label,
            (5, Raw::Varint(kind)) => field.kind = kind,
            (6, Raw::Bytes(name)) => field.type_name = text(name)?,
            (7, Raw::Bytes(default)) => field.default = Some(text(default)?),
            (8, Raw::Bytes(options)) => field.features = member(options, 21)?,
            (9, Raw::Varint(oneof)) => field.oneof = Some(oneof),
            (10, Raw::Bytes(name)) => field.json_name = Some(text(name)?),
            (17, Raw::Varint(is)) => field.is_optional = is != 0,
            _ => {}
        }
        Ok(())
    })?;
    Ok(field)
}

fn enumeration(bytes: &[u8]) -> Result<Enum<'_>, String> {
    let mut found = Enum::default();
    each(bytes, |number, raw| {
        match (number, raw) {
            (1, Raw::Bytes(name)) => found.name = text(name)?,
            (2, Raw::Bytes(bytes)) => {
                let (mut name, mut value) = ("", 0);
                each(bytes, |number, raw| {
                    match (number, raw) {
                        (1, Raw::Bytes(bytes)) => name = text(bytes)?,
                        (2, Raw::Varint(number)) => value = number as i32,
                        _ => {}
                    }
                    Ok(())
                })?;
                found.values.push((value, name));
            }
            (3, Raw::Bytes(options)) => found.features = member(options, 7)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(found)
}
