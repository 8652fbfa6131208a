//! What a configuration that a server sent may reach: `manage.allow` of this machine.
//!
//! The values are looked at as they stand in the file, after placeholders are replaced, by the keys that they stand under.
//! Each key whose value is a text is here, or is known to reach nothing; a test holds that.

use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};

use super::model::Config;
use super::report::Problem;
use super::source::SourceFile;
use super::tree::{Location, Node, Value};
use crate::fleet::AllowSettings;
use flitch_outputs::OutputSettings;

/// What stands under a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Nothing that reaches anything.
    Nothing,
    /// A path that is read.
    Read,
    /// The pattern of paths that are read.
    ReadLike,
    /// A path that is written to.
    Write,
    /// The template of paths that are written to.
    WriteLike,
    /// Hosts, as names, addresses or URLs.
    Hosts,
    /// A listener, which may be a unix socket.
    Listen,
    /// What says by itself where it leads to.
    ConnectionString,
    /// The name of a service of Azure, of which the host is made: behind it stands this.
    Azure(&'static str),
    /// A part of a host's name, or of a URL behind it.
    Label,
    /// The name of an environment variable.
    Env,
    /// A plugin.
    Plugin,
    /// What may lead anywhere.
    Anywhere,
}

/// Keys whose values are paths, hosts and so on, wherever they stand in a section.
const READ: [&str; 4] = ["token_file", "certificate", "ca_file", "credentials_path"];
const OF_TLS: [&str; 4] = ["ca", "cert", "key", "client_ca"];
const HOSTS: [&str; 12] = [
    "brokers",
    "nodes",
    "servers",
    "url",
    "endpoint",
    "endpoints",
    "address",
    "authority",
    "cluster",
    "ingest",
    "proxy",
    "trusted_hosts",
];

/// What the value reaches that stands at `way` below a part of `section`.
fn reach(section: &str, way: &[&str]) -> Reach {
    match (section, way) {
        ("filters", ["plugin"] | ["shadow", "plugin"]) => Reach::Plugin,
        ("filters", ["allow", "read"]) => Reach::Read,
        ("filters", ["allow", "env"]) => Reach::Env,
        ("filters", _) => Reach::Nothing,
        ("tables", ["path"]) => Reach::Read,
        ("outputs", ["path"]) => Reach::WriteLike,
        ("outputs", ["buffer", "path"]) => Reach::Write,
        ("sources", ["include"]) => Reach::ReadLike,
        (_, ["listen"]) => Reach::Listen,
        (_, ["options", ..]) => Reach::Anywhere,
        (_, ["connection_string"]) => Reach::ConnectionString,
        (_, ["namespace"]) => Reach::Azure(".servicebus.windows.net"),
        ("outputs", ["region" | "bucket" | "container"] | ["auth", "region"]) => Reach::Label,
        ("outputs", ["account"]) => Reach::Azure(".blob.core.windows.net"),
        (_, [.., "tls", key]) if OF_TLS.contains(key) => Reach::Read,
        (_, [.., key]) if READ.contains(key) => Reach::Read,
        (_, [.., key]) if HOSTS.contains(key) => Reach::Hosts,
        _ => Reach::Nothing,
    }
}

/// Hosts that a type of output connects to where no `endpoint` says otherwise.
const BY_DEFAULT: [(&str, &str); 2] = [("s3", "s3.amazonaws.com"), ("gcs", "storage.googleapis.com")];

/// Whether a placeholder may be replaced, of which this stands between the braces; else what is wrong and what to do.
pub fn placeholder(inside: &str, allow: &AllowSettings, folder: &Path) -> Result<(), (String, String)> {
    let file = inside.strip_prefix("file:").or_else(|| inside.strip_prefix("base64:"));
    let said = match file {
        Some(path) => below(&folder.join(path), &allow.read, "read", "read").err(),
        None => env(inside.split_once(":-").map_or(inside, |(name, _)| name), allow).err(),
    };
    said.map_or(Ok(()), |message| Err((message, HELP.to_owned())))
}

/// Most places that are told.
const MOST: usize = 1000;
const HELP: &str = "what a server may reach is said in the machine's own file, under `manage.allow`";

/// All that is reached and not allowed.
pub fn check(config: &Config, file: &SourceFile, allow: &AllowSettings, folder: &Path) -> Vec<Problem> {
    let mut looker = Looker { file, allow, folder, problems: Vec::new() };
    let types = |section: &str, kinds: Vec<(&String, &'static str)>, allowed: &Option<Vec<String>>| {
        let Some(allowed) = allowed else { return Vec::new() };
        let refused = kinds.into_iter().filter(|(_, kind)| !allowed.iter().any(|one| one == kind));
        let problem = |(name, kind): (&String, &str)| {
            let message =
                format!("{section} of the type `{kind}` are not allowed (`manage.allow.{section}`)");
            file.at(&format!("{section}.{name}.type"), message).help(HELP.to_owned())
        };
        refused.map(problem).collect()
    };
    let sources = config.sources.iter().map(|(name, source)| (name, source.type_name())).collect();
    let outputs: Vec<_> =
        config.outputs.iter().map(|(name, output)| (name, output.kind.type_name())).collect();
    looker.problems.extend(types("sources", sources, &allow.sources));
    looker.problems.extend(types("outputs", outputs.clone(), &allow.outputs));
    for section in ["sources", "filters", "tables", "outputs"] {
        let Some(Node { value: Value::Map(parts), .. }) = file.tree().get(section) else { continue };
        for part in parts {
            looker.node(section, &mut Vec::new(), &part.value);
        }
    }
    for (name, kind) in outputs {
        let path = format!("outputs.{name}");
        let Some((_, host)) = BY_DEFAULT.iter().find(|(known, _)| *known == kind) else { continue };
        if file.locate_key(&format!("{path}.endpoint")).is_none() {
            looker.found(file.locate(&format!("{path}.type")), is_host_allowed(host, allow));
        }
    }
    for (name, output) in &config.outputs {
        // An account, a suffix and a protocol make one address, which is judged as the output reads it.
        if let OutputSettings::AzureBlob(blobs) = &output.kind
            && let Ok(address) = blobs.address()
        {
            looker.found(file.locate(&format!("outputs.{name}.type")), is_host_allowed(&address, allow));
        }
    }
    looker.problems
}

struct Looker<'a> {
    file: &'a SourceFile,
    allow: &'a AllowSettings,
    folder: &'a Path,
    problems: Vec<Problem>,
}

impl Looker<'_> {
    fn found(&mut self, location: Option<Location>, judged: Result<(), String>) {
        if let Err(message) = judged
            && self.problems.len() < MOST
        {
            self.problems.push(self.file.at_location(location, message).help(HELP.to_owned()));
        }
    }

    fn node<'n>(&mut self, section: &str, way: &mut Vec<&'n str>, node: &'n Node) {
        match &node.value {
            Value::Map(entries) => {
                for entry in entries {
                    way.push(&entry.key);
                    self.node(section, way, &entry.value);
                    way.pop();
                }
            }
            Value::Seq(items) => items.iter().for_each(|item| self.node(section, way, item)),
            Value::Scalar(scalar) => {
                let judged = self.judge(reach(section, way), &scalar.text);
                self.found(Some(node.location), judged);
            }
        }
    }

    fn judge(&self, reach: Reach, text: &str) -> Result<(), String> {
        let allow = self.allow;
        match reach {
            Reach::Nothing => Ok(()),
            Reach::Read => below(Path::new(text), &allow.read, "read", "read"),
            Reach::ReadLike => begins_below(text, &['*', '?', '[', '{', '\\'], &allow.read, "read", "read"),
            Reach::Write => below(Path::new(text), &allow.write, "write to", "write"),
            Reach::WriteLike => begins_below(text, &['{'], &allow.write, "write to", "write"),
            Reach::Hosts => text.split(',').try_for_each(|one| is_host_allowed(one, allow)),
            Reach::Listen => match text.strip_prefix("unix://") {
                Some(path) => below(Path::new(path), &allow.write, "write to", "write"),
                None => Ok(()),
            },
            Reach::ConnectionString => connection_string(text, allow),
            Reach::Azure(_) if text.contains('.') => is_host_allowed(text, allow),
            Reach::Azure(suffix) => is_host_allowed(&format!("{text}{suffix}"), allow),
            Reach::Label => match text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.')) {
                true => Ok(()),
                false => Err(format!("`{text}` cannot be a part of a host's name")),
            },
            Reach::Env => env(text, allow),
            // What a server sends is held to `plugins` when it comes.
            Reach::Plugin if text.starts_with("package:") => Ok(()),
            Reach::Plugin if text.starts_with("oci://") => is_host_allowed(text, allow),
            Reach::Plugin if text.starts_with(LAYOUT) => {
                below(&self.folder.join(layout(text)), &allow.read, "read", "read")
            }
            Reach::Plugin if text.contains('/') || text.ends_with(".wasm") => {
                below(&self.folder.join(text), &allow.read, "read", "read")
            }
            Reach::Plugin => Ok(()),
            Reach::Anywhere => {
                Err("a server sets no `options` of librdkafka, which may lead anywhere".to_owned())
            }
        }
    }
}

/// How a plugin in a folder of OCI begins.
const LAYOUT: &str = "oci-layout:";

/// The folder of such a plugin, without its tag and digest.
fn layout(text: &str) -> &str {
    let rest = text.strip_prefix(LAYOUT).unwrap_or(text);
    let rest = rest.split_once('@').map_or(rest, |(folder, _)| folder);
    rest.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(rest, |(folder, _)| folder)
}

/// Whether a pattern or template, in which these characters mean more than themselves, is below one of these folders with the
/// part that stands for itself.
fn begins_below(
    text: &str,
    special: &[char],
    folders: &[PathBuf],
    what: &str,
    key: &str,
) -> Result<(), String> {
    let path = Path::new(text);
    stays(path, key)?;
    match text.find(special) {
        None => below(path, folders, what, key),
        Some(place) => {
            let folder = text[..place].rfind('/').map_or(0, |slash| slash + 1);
            below(Path::new(&text[..folder]), folders, what, key)
        }
    }
}

/// Whether a path is below one of these folders, links followed as far as it is there.
fn below(path: &Path, folders: &[PathBuf], what: &str, key: &str) -> Result<(), String> {
    stays(path, key)?;
    let real = real(path);
    match folders.iter().any(|folder| real.starts_with(self::real(folder))) {
        true => Ok(()),
        false => Err(format!(
            "`{}` is not below a folder that a server may {what} (`manage.allow.{key}`)",
            path.display()
        )),
    }
}

/// Whether a path is whole, and goes nowhere up.
fn stays(path: &Path, key: &str) -> Result<(), String> {
    let refused = |why: &str| Err(format!("`{}`{why} (`manage.allow.{key}`)", path.display()));
    if !path.is_absolute() {
        return refused(": a server names whole paths, from `/` on");
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return refused(" has a `..` in it, which a server may not use");
    }
    Ok(())
}

/// The path with its links followed, as far as it is there.
fn real(path: &Path) -> PathBuf {
    for there in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (there.canonicalize(), path.strip_prefix(there)) {
            // A path that is joined with nothing has a slash at its end.
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    path.to_owned()
}

fn env(name: &str, allow: &AllowSettings) -> Result<(), String> {
    let is_meant = |allowed: &String| match allowed.strip_suffix('*') {
        Some(begin) => name.starts_with(begin),
        None => allowed == name,
    };
    match allow.env.iter().any(is_meant) {
        true => Ok(()),
        false => {
            Err(format!("`{name}` is no environment variable that a server may read (`manage.allow.env`)"))
        }
    }
}

/// Whether the host of an address or a URL may be connected to.
pub fn is_host_allowed(text: &str, allow: &AllowSettings) -> Result<(), String> {
    let Some((host, port)) = host(text) else {
        return Err(
            "this names a host in no way that all read alike who connect (`manage.allow.hosts`): write \
                    `host:port`, or a URL with `://` behind its scheme"
                .to_owned(),
        );
    };
    let is_meant = |allowed: &String| {
        let (wanted, of_port) = host_and_port(allowed);
        let is_host = match wanted.strip_prefix('*') {
            Some("") => true,
            Some(end) => host.ends_with(end) && host.len() > end.len(),
            None => host == wanted,
        };
        is_host && of_port.is_none_or(|wanted| Some(wanted) == port)
    };
    // What no name has in it is read otherwise by some who connect.
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    let is_allowed = !host.is_empty()
        && host.chars().all(is_name)
        && allow.hosts.iter().map(|one| one.to_lowercase()).any(|one| is_meant(&one));
    match is_allowed {
        true => Ok(()),
        false => Err(format!(
            "`{host}` is no host that a server may have flitch connect to (`manage.allow.hosts`)"
        )),
    }
}

/// The host of an address or a URL, in small letters, and its port where it has one. None where that could be another one to who
/// connects: parsers of URLs do without the slashes behind a scheme, so that `https:one/://other` leads to `one`.
fn host(text: &str) -> Option<(String, Option<u16>)> {
    const ENDS: [char; 4] = ['/', '\\', '?', '#'];
    let text = text.trim().to_lowercase();
    let authority = match text.split_once("://") {
        Some((scheme, rest)) => {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
            if !scheme.chars().all(fits) {
                return None;
            }
            // A backslash is a slash to parsers of URLs.
            let authority = rest.split(ENDS).next().unwrap_or_default();
            authority.rsplit_once('@').map_or(authority, |(_, host)| host)
        }
        None if text.contains(ENDS) || text.contains('@') => return None,
        None => &text,
    };
    let (host, port) = host_and_port(authority);
    Some((host.to_owned(), port))
}

fn host_and_port(text: &str) -> (&str, Option<u16>) {
    if text.parse::<IpAddr>().is_ok() {
        return (text, None);
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()),
        None => (text, None),
    };
    (host.trim_start_matches('[').trim_end_matches([']', '.']), port)
}

/// Whether all that a connection string leads to is allowed.
fn connection_string(text: &str, allow: &AllowSettings) -> Result<(), String> {
    let mut hosts = Vec::new();
    let pairs = || {
        text.split(';').filter_map(|pair| pair.split_once('=')).map(|(key, value)| (key.trim(), value.trim()))
    };
    let value =
        |wanted: &str| pairs().find(|(key, _)| key.eq_ignore_ascii_case(wanted)).map(|(_, value)| value);
    hosts.extend(
        pairs().filter(|(key, _)| key.to_lowercase().ends_with("endpoint")).map(|(_, url)| url.to_owned()),
    );
    if let Some(account) = value("AccountName") {
        hosts.push(format!("{account}.blob.{}", value("EndpointSuffix").unwrap_or("core.windows.net")));
    }
    if hosts.is_empty() {
        return Err(
            "the connection string names no host, so nobody knows where it leads (`manage.allow.hosts`)"
                .to_owned(),
        );
    }
    hosts.iter().try_for_each(|host| is_host_allowed(host, allow))
}

#[cfg(test)]
mod tests;
