//! The settings of the file source.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use globset::GlobBuilder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use flitch_core::batch::utf8::InvalidUtf8;
use flitch_core::units::{Bytes, Span, or_zero};

use super::charset::Charset;
use super::container::{ATTRS, STREAM};
use crate::fields::{self, Named};
use crate::multiline::{Pattern, Preset};

/// Reads lines from files that grow, and follows them through rotation.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FileSettings {
    /// Globs of the files to read: `*` and `?` stay in one folder, `**` goes into all below, `[ab]` and `{a,b}` choose.
    #[schemars(with = "Vec<String>")]
    pub include: Vec<Glob>,
    /// Globs of files to leave out. One that does not begin with `/` or `./` matches at any depth below the folders of
    /// `include`: `*.gz`, `tmp/**`. Leave out what logrotate's `copytruncate` copies to: a copy is a new file.
    #[schemars(with = "Vec<String>")]
    pub exclude: Vec<Glob>,
    /// The `@tag` of the records. The source's name where it is not set.
    pub tag: Option<String>,
    /// Where to begin in files that are there when the source starts for the first time: `beginning` or `end`.
    /// Files that appear later are read from their beginning, files read before from where they were left.
    pub read_from: ReadFrom,
    /// Skip what stands in files that were last written longer ago than this; what is appended to them later is read.
    pub ignore_older: Option<Span>,
    /// What a record is: a line of text (`lines`), a line with a JSON object (`json`), or a line that a container wrote
    /// (`cri`, `docker_json`). Lines that are not what they should be go to the dead letters.
    pub codec: Codec,
    /// The charset of the files: `auto` (each file's own by its byte order mark, UTF-8 where it has none), `utf-8`,
    /// `utf-16le`, `utf-16be`, `latin1`, `windows-1250`, `shift_jis`, `gb18030` and the others of the Encoding Standard
    /// (<https://encoding.spec.whatwg.org/#names-and-labels>), where `latin1` and `ascii` are windows-1252. Records are
    /// UTF-8 whatever the charset, and a byte order mark at the head of a file is part of none.
    #[schemars(with = "String")]
    pub charset: Charset,
    /// Whether files are compressed: `auto` sees gzip by its first bytes, `gzip` and `none` say so. A compressed file
    /// is read once.
    pub compression: Compression,
    /// Joins lines that belong together into one record. Of containers, those of each stream by themselves, after
    /// their pieces are joined.
    pub multiline: Option<MultilineSettings>,
    /// What becomes of text that is not UTF-8: `replace` (each bad sequence becomes U+FFFD, counted) or `bytes`. What
    /// is not in the `charset`, where that is another, becomes U+FFFD.
    pub invalid_utf8: InvalidUtf8,
    /// Longest record in bytes. Of a longer line only the first part is kept, marked `@truncated`. (A longer line of a
    /// container that came in pieces is several records, all but the last marked.)
    pub max_line: Bytes,
    /// How long the last line of a file may wait for its end, and a container's for its next piece. Then it is sent as
    /// it is, and what is appended later is a new record.
    pub partial_timeout: Span,
    /// The column of the text.
    pub message_field: String,
    /// The column of the file's path; empty for none.
    pub file_field: String,
    /// The column of this machine's name; empty for none.
    pub host_field: String,
    /// The column of the place in the file at which the record begins, in bytes (`offset`, say); empty, as by default, for
    /// none. For files in UTF-8, and not with `codec: cri` and `docker_json`, whose records have a time of their own.
    pub offset_field: String,
    /// How often known files are looked at, beside what the system says about changes. Where looking takes long, since
    /// files are many or the disk is slow, those that were quiet for a while are looked at more rarely.
    pub poll_interval: Span,
    /// How often new files are looked for, beside what the system says about changes; the time begins when the last
    /// search ends, and grows where a search takes long.
    pub scan_interval: Span,
    /// How often positions are saved, at most. Where a file begins is saved before its first record is sent, and its
    /// first safe position at once.
    pub checkpoint_interval: Span,
    /// How long a file that was renamed or removed is still read after its last growth; `0s` lets it go at its end.
    #[serde(deserialize_with = "or_zero")]
    pub rotate_wait: Span,
    /// Most files held open; beyond it those that were quiet longest are closed until they grow. All sources together leave
    /// 256 of the descriptors that the system allows to all else, or half of them where it allows fewer than 512.
    #[schemars(range(min = 1))]
    pub max_open_files: usize,
    /// Folders below which a file must lie, links followed; none where it may lie anywhere. No file says that: it is so of what a
    /// managing server sends.
    #[serde(skip)]
    pub within: Option<Vec<PathBuf>>,
}

impl FileSettings {
    /// Whether the names that it gives to fields can all be those of a record.
    ///
    /// # Errors
    /// One cannot.
    pub(super) fn check_fields(&self) -> anyhow::Result<()> {
        let default = FileSettings::default();
        let mut named = vec![
            ("message_field", &self.message_field, &default.message_field),
            ("file_field", &self.file_field, &default.file_field),
            ("host_field", &self.host_field, &default.host_field),
            ("offset_field", &self.offset_field, &default.offset_field),
        ];
        // The fields of a record of JSON are its own, and take the place of others.
        let has_text = self.codec != Codec::Json;
        named.retain(|(key, name, _)| if *key == "message_field" { has_text } else { !name.is_empty() });
        // What is not as it is by default stands in the file, and is told.
        named.sort_by_key(|(_, name, default)| name != default);
        let named: Vec<Named<'_>> = named.into_iter().map(|(key, name, _)| Named { key, name }).collect();
        let own: &[&str] = match self.codec {
            Codec::Cri | Codec::DockerJson => &[STREAM, ATTRS],
            Codec::Lines | Codec::Json => &[],
        };
        fields::check(&named, own)
    }

    /// Whether a file may be read.
    ///
    /// # Errors
    /// It may not; or the system's.
    pub(super) fn lets_read(&self, path: &Path) -> io::Result<()> {
        let Some(folders) = &self.within else { return Ok(()) };
        let real = path.canonicalize()?;
        match folders.iter().filter_map(|folder| folder.canonicalize().ok()).any(|f| real.starts_with(f)) {
            true => Ok(()),
            false => Err(io::Error::other(format!(
                "it leads to {}, which is below no folder that a server may read (`manage.allow.read`)",
                real.display()
            ))),
        }
    }
}

impl Default for FileSettings {
    fn default() -> Self {
        let span = |ms| Span(Duration::from_millis(ms));
        FileSettings {
            include: Vec::new(),
            exclude: Vec::new(),
            tag: None,
            read_from: ReadFrom::default(),
            ignore_older: None,
            codec: Codec::default(),
            charset: Charset::default(),
            compression: Compression::default(),
            multiline: None,
            invalid_utf8: InvalidUtf8::default(),
            max_line: Bytes(1 << 20),
            partial_timeout: span(5_000),
            message_field: "message".into(),
            file_field: "file".into(),
            host_field: "host".into(),
            offset_field: String::new(),
            poll_interval: span(250),
            scan_interval: span(1_000),
            checkpoint_interval: span(1_000),
            rotate_wait: span(5_000),
            max_open_files: 512,
            within: None,
        }
    }
}

/// A glob over paths, known to be one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String")]
pub struct Glob(String);

impl Glob {
    /// What it matches as one of `include`; a star does not go into folders below.
    pub(super) fn compile(&self) -> Result<globset::Glob, String> {
        self.build(&self.absolute()?)
    }

    /// Whether it is to match at any depth below the folders of `include`, as one of `exclude`.
    pub(super) fn is_loose(&self) -> bool {
        !self.0.starts_with('/') && !self.0.starts_with("./")
    }

    /// What it matches at any depth below a folder.
    pub(super) fn compile_below(&self) -> Result<globset::Glob, String> {
        self.build(&format!("**/{}", self.0))
    }

    fn build(&self, pattern: &str) -> Result<globset::Glob, String> {
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        glob.map_err(|error| format!("`{}` is no glob: {}", self.0, error.kind()))
    }

    /// Whether it surely matches all that `other` does.
    pub(super) fn covers(&self, other: &Glob) -> bool {
        self == other || matches!(&*self.0, "*" | "**" | "**/*" | "/**")
    }

    /// The glob from the root on. A relative one starts at the working folder.
    pub(super) fn absolute(&self) -> Result<String, String> {
        if self.0.is_empty() {
            return Err("the glob is empty: write a path such as /var/log/nginx/*.log".to_owned());
        }
        let path = std::path::absolute(&self.0).map_err(|error| format!("`{}`: {error}", self.0))?;
        if path.components().any(|c| matches!(c, Component::ParentDir)) {
            return Err(format!("`{}` goes up with `..`: write the folder's own path", self.0));
        }
        let text = path.into_os_string().into_string();
        text.map_err(|_| {
            format!("`{}` starts in a folder whose name is not UTF-8: write its whole path", self.0)
        })
    }
}

impl std::fmt::Display for Glob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Glob {
    type Error = String;

    fn try_from(text: String) -> Result<Glob, String> {
        let glob = Glob(text);
        glob.compile()?;
        Ok(glob)
    }
}

/// Where to begin in a file that is there when the source starts for the first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReadFrom {
    /// With its first line.
    #[default]
    Beginning,
    /// With the first line that is not finished yet.
    End,
}

/// What a record is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    /// A line of text, in one column.
    #[default]
    Lines,
    /// A line with a JSON object, whose members are columns.
    Json,
    /// A line that containerd or CRI-O wrote (`/var/log/pods`, `/var/log/containers`): `@timestamp` and `stream` are
    /// its own, and pieces of long lines are joined again.
    Cri,
    /// The same of Docker's driver `json-file` (`/var/lib/docker/containers`). What Docker was told to add to each line
    /// stands below `attrs`.
    DockerJson,
}

/// Whether files are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Those that begin with gzip's two magic bytes are. What xz, zstd, bzip2, lz4 or zip has compressed is left out, which the log
    /// tells.
    #[default]
    Auto,
    /// None is.
    None,
    /// All are, by gzip.
    Gzip,
}

/// Which lines make one record. One of `start`, `continue` and `preset` says it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MultilineSettings {
    /// A regular expression that matches the first line of each record.
    #[schemars(with = "Option<String>")]
    pub start: Option<Pattern>,
    /// A regular expression that matches each line that belongs to the record before it.
    #[schemars(with = "Option<String>")]
    pub r#continue: Option<Pattern>,
    /// What writes the lines: the stack traces of `java`, `python` or `go` belong to the line before them.
    pub preset: Option<Preset>,
    /// How long a record may wait for its next line when the file does not grow.
    pub timeout: Span,
    /// Most lines in a record; the next one begins another.
    #[schemars(range(min = 1))]
    pub max_lines: usize,
}

impl Default for MultilineSettings {
    fn default() -> Self {
        let timeout = Span(Duration::from_secs(1));
        MultilineSettings { start: None, r#continue: None, preset: None, timeout, max_lines: 1_000 }
    }
}
