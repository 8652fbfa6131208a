//! What one text says.

use crate::rules::{BROWSERS, Device, PROGRAMS, SYSTEMS, TVS, windows};
use crate::words::{APPLE_WEB_KIT, FIRST_BROWSER, FIRST_SYSTEM, Found, SAFARI, TRIDENT, VERSION};
use std::borrow::Cow;

/// Most bytes of a text that are read.
const MAX_BYTES: usize = 2048;
/// Most bytes of a version, and of a name that is not known.
const MAX_WORD: usize = 64;

/// What a text names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agent<'a> {
    pub family: Option<&'a str>,
    pub version: Option<&'a str>,
    pub os: Option<&'static str>,
    pub os_version: Option<Cow<'a, str>>,
    pub device: Option<Device>,
}

impl<'a> Agent<'a> {
    /// Reads a text.
    pub fn of(text: &'a str) -> Self {
        let text = &text[..text.floor_char_boundary(MAX_BYTES)];
        let found = Found::of(text);
        let mut agent = Self::default();
        agent.system(text, &found);
        agent.program(text, &found);
        agent.device = agent.device.or_else(|| agent.kind_of_device(text));
        agent
    }

    /// The first number of the version.
    pub fn major(&self) -> Option<i64> {
        let version = self.version?;
        version[..version.bytes().take_while(u8::is_ascii_digit).count()].parse().ok()
    }

    fn program(&mut self, text: &'a str, found: &Found) {
        for (number, (_, family, device)) in PROGRAMS.iter().enumerate() {
            if let Some(end) = found.end(number) {
                (self.family, self.version, self.device) = (Some(*family), version(text, end), Some(*device));
                return;
            }
        }
        if let Some(crawler) = unknown_crawler(text) {
            (self.family, self.version, self.device) = (Some(crawler.0), crawler.1, Some(Device::Bot));
            return;
        }
        for (number, (word, family)) in BROWSERS.iter().enumerate() {
            if let Some(end) = found.end(FIRST_BROWSER + number) {
                let version = version(text, end);
                (self.family, self.version) = (Some(*family), version);
                if text.contains("; wv)") && *word == "Chrome" {
                    self.family = Some("Android WebView");
                }
                // The later Operas have theirs elsewhere.
                if *word == "Opera"
                    && let Some(end) = found.end(VERSION)
                {
                    self.version = self::version(text, end);
                }
                return;
            }
        }
        if found.end(TRIDENT).is_some() {
            self.family = Some("Internet Explorer");
            self.version = text.find("rv:").and_then(|at| number(&text[at + 3..]));
        } else if found.end(SAFARI).is_some() && found.end(APPLE_WEB_KIT).is_some() {
            let is_android = self.os == Some("Android");
            self.family = Some(if is_android { "Android Browser" } else { "Safari" });
            self.version = found.end(VERSION).and_then(|end| version(text, end));
        } else {
            let end = text.find(['/', ' ', '(', ';']).unwrap_or(text.len());
            let name = &text[..end];
            let is_name =
                name.len() > 1 && name.len() <= MAX_WORD && name.starts_with(|c: char| c.is_alphabetic());
            if is_name && name != "Mozilla" && text[end..].starts_with('/') {
                (self.family, self.version) = (Some(name), version(text, end));
            }
        }
    }

    fn system(&mut self, text: &'a str, found: &Found) {
        let mut systems = SYSTEMS.iter().enumerate();
        let named =
            systems.find_map(|(number, (word, os))| Some((*word, *os, found.end(FIRST_SYSTEM + number)?)));
        let Some((word, os, end)) = named else { return };
        self.os = Some(os);
        self.os_version = match word {
            "X11" | "Linux" | "Nintendo" | "Xbox" | "Web0S" | "Macintosh" | "Windows" => None,
            // The number behind it is the console's own.
            "PlayStation" => None,
            "CrOS" => {
                text[end..].trim_start().split_once(' ').and_then(|(_, rest)| number(rest)).map(Cow::Borrowed)
            }
            "Windows NT" => version(text, end).map(|core| Cow::Borrowed(windows(core))),
            _ => version(text, end).map(dotted),
        };
    }

    fn kind_of_device(&self, text: &str) -> Option<Device> {
        let has = |word: &str| text.contains(word);
        if TVS.iter().any(|word| has(word)) {
            return Some(Device::Tv);
        }
        match self.os? {
            "Xbox" | "PlayStation" | "Nintendo" => Some(Device::Console),
            "iOS" if has("iPad") => Some(Device::Tablet),
            "iOS" | "KaiOS" | "Windows Phone" => Some(Device::Mobile),
            // Only browsers say whether they are on a telephone.
            "Android" | "HarmonyOS" if !text.starts_with("Mozilla") && !has("Mobile") && !has("Tablet") => {
                None
            }
            "Android" | "HarmonyOS" if has("Tablet") || !has("Mobile") => Some(Device::Tablet),
            "Android" | "HarmonyOS" => Some(Device::Mobile),
            "Tizen" | "webOS" if has("Mobile") => Some(Device::Mobile),
            "Tizen" | "webOS" => Some(Device::Tv),
            _ if has("Tablet") && !has("Tablet PC") => Some(Device::Tablet),
            _ if has(" Mobile") => Some(Device::Mobile),
            _ => Some(Device::Desktop),
        }
    }
}

/// The version behind a word: `/1.2`, ` 1.2` or `_1.2`.
fn version(text: &str, end: usize) -> Option<&str> {
    let rest = &text[end..];
    number(rest.strip_prefix(['/', ' ', ':', '-']).unwrap_or(rest))
}

/// The number that a text begins with, with what belongs to it.
fn number(text: &str) -> Option<&str> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+');
    let length = text.bytes().take(MAX_WORD).take_while(|byte| is_part(byte)).count();
    let number = text[..length].trim_end_matches(['.', '-', '_', '+']);
    number.starts_with(|c: char| c.is_ascii_digit()).then_some(number)
}

/// Apple writes underscores where all others write dots.
fn dotted(version: &str) -> Cow<'_, str> {
    if version.contains('_') { version.replace('_', ".").into() } else { version.into() }
}

/// A word that ends in `bot`, `spider` or `crawler`, and its version.
fn unknown_crawler(text: &str) -> Option<(&str, Option<&str>)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_crawler = |word: &&str| {
        let word = word.as_bytes();
        let ends =
            |end: &[u8]| word.len() > end.len() && word[word.len() - end.len()..].eq_ignore_ascii_case(end);
        // A maker of telephones.
        !word.eq_ignore_ascii_case(b"cubot")
            && word.len() <= MAX_WORD
            && (ends(b"bot") || ends(b"spider") || ends(b"crawler"))
    };
    // What stands behind a scheme is the address of a page about it.
    let about = text.find("http").unwrap_or(text.len());
    let word = text[..about].split(|c: char| !is_part(c)).find(is_crawler)?;
    let end = text.find(word)? + word.len();
    Some((word, version(text, end)))
}

#[cfg(test)]
mod tests;
