//! The names that settings give to fields of records.

use flitch_core::setting::wrong;

/// A setting that names a field which each record of a source has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    pub key: &'a str,
    pub name: &'a str,
}

/// Whether each of the names can be that of a field, beside those which records have of themselves (`own`, with what they
/// are). Of two that are in each other's way the later one is told.
///
/// # Errors
/// A name is empty, begins with @, or is that of another field, one above it, or one below it.
pub(crate) fn check(named: &[Named<'_>], own: &[&str]) -> anyhow::Result<()> {
    for (place, &Named { key, name }) in named.iter().enumerate() {
        anyhow::ensure!(!name.is_empty(), wrong!("{key}", " is empty: name a field, such as `message`"));
        anyhow::ensure!(
            !name.starts_with('@'),
            wrong!("{key}", ": names that begin with @ are flitch's own; give `{name}` another")
        );
        anyhow::ensure!(
            name.split('.').all(|part| !part.is_empty()),
            wrong!("{key}", " is `{name}`, and a part of it between dots is empty")
        );
        if let Some(other) = own.iter().find(|other| is_in_the_way(name, other)) {
            anyhow::bail!(wrong!(
                "{key}",
                " is `{name}`, and each record has a field `{other}` of its own: give it another name"
            ));
        }
        if let Some(other) = named[..place].iter().find(|other| is_in_the_way(name, other.name)) {
            let taken = other.name;
            let way = if taken == name { "which is" } else { "which is above or below" };
            anyhow::bail!(wrong!(
                "{key}",
                " is `{name}`, {way} the field `{taken}` of `{}`: give it a name of its own",
                other.key
            ));
        }
    }
    Ok(())
}

/// Whether a record cannot have both fields: they are one, or one is part of the other.
fn is_in_the_way(one: &str, other: &str) -> bool {
    let is_below = |one: &str, other: &str| one.strip_prefix(other).is_some_and(|rest| rest.starts_with('.'));
    one == other || is_below(one, other) || is_below(other, one)
}

#[cfg(test)]
mod tests;
