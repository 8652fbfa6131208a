//! What the settings of stores must look like: what cannot stand in a request is refused with its key, and not met there.

use flitch_core::setting::wrong;
use reqwest::Url;

/// The address of a store.
///
/// # Errors
/// The text names the key.
pub(crate) fn endpoint(text: &str) -> anyhow::Result<()> {
    let begins = text.starts_with("http://") || text.starts_with("https://");
    anyhow::ensure!(begins, wrong!("endpoint", " must begin with `https://` (or `http://`): `{text}`"));
    let url = Url::parse(text).map_err(|error| wrong!("endpoint", ": `{text}` is no address: {error}"))?;
    let is_plain = url.query().is_none() && url.fragment().is_none();
    anyhow::ensure!(is_plain, wrong!("endpoint", ": `{text}` has more than a host and a path"));
    Ok(())
}

/// A name or a key that stands in requests as it is. It is not shown.
///
/// # Errors
/// The text names the key.
pub(crate) fn word(key: &str, text: &str) -> anyhow::Result<()> {
    anyhow::ensure!(!text.is_empty(), wrong!("{key}", " is empty"));
    let Some(place) = text.bytes().position(|byte| !byte.is_ascii_graphic()) else { return Ok(()) };
    let what = match &text[place..] {
        rest if rest.trim().is_empty() => "ends in a blank or a line break".to_owned(),
        _ => format!("has a blank, a line break or a sign that is not of ASCII at place {}", place + 1),
    };
    anyhow::bail!(wrong!("{key}", " {what}, which nothing of that kind can have"))
}

/// The same for a bucket or a container, which stands in addresses.
///
/// # Errors
/// The text names the key.
pub(crate) fn bucket(key: &str, text: &str) -> anyhow::Result<()> {
    word(key, text)?;
    let sign = text.chars().find(|sign| !sign.is_ascii_alphanumeric() && !"-_.$".contains(*sign));
    match sign {
        Some(sign) => anyhow::bail!(wrong!("{key}", ": `{text}` has `{sign}`, which no name has")),
        None => Ok(()),
    }
}

/// The same for a container of Azure.
///
/// # Errors
/// The text names the key.
pub(crate) fn container(key: &str, text: &str) -> anyhow::Result<()> {
    bucket(key, text)?;
    // `$web` and `$root` are the store's own.
    let name = text.strip_prefix('$').unwrap_or(text);
    let fits = is_small(name, "-") && (3..=63).contains(&text.len()) && !name.contains("--");
    anyhow::ensure!(
        fits,
        wrong!(
            "{key}",
            ": there can be no container `{text}`: 3 to 63 small letters, digits and hyphens, no hyphen at an end or beside another"
        )
    );
    Ok(())
}

/// The same for a bucket of Google.
///
/// # Errors
/// The text names the key.
pub(crate) fn google_bucket(key: &str, text: &str) -> anyhow::Result<()> {
    bucket(key, text)?;
    // With dots it may be longer, 63 from one dot to the next.
    let fits = is_small(text, "-_.")
        && (3..=222).contains(&text.len())
        && text.split('.').all(|part| (1..=63).contains(&part.len()));
    anyhow::ensure!(
        fits,
        wrong!(
            "{key}",
            ": there can be no bucket `{text}`: 3 to 63 small letters, digits, hyphens, underscores and dots, with a letter or digit at each end"
        )
    );
    Ok(())
}

/// Whether a name has small letters and digits, and within it these signs.
fn is_small(name: &str, signs: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let has_ends = name.starts_with(is_letter) && name.ends_with(is_letter);
    has_ends && name.chars().all(|c| is_letter(c) || signs.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(result: anyhow::Result<()>) -> String {
        result.err().map(|error| format!("{error:#}")).unwrap_or_default()
    }

    #[test]
    fn what_cannot_stand_in_a_request_is_told_with_its_key_and_a_secret_is_not_shown() {
        for good in ["https://s3.example.com", "http://127.0.0.1:10000/devstoreaccount1/"] {
            assert_eq!(said(endpoint(good)), "", "{good}");
        }
        for bad in ["s3.example.com", "https://", "http://127.0.0.1:99999", "https://a b", "https://a/?x=1"] {
            assert!(said(endpoint(bad)).contains("`endpoint`"), "{bad}: {}", said(endpoint(bad)));
        }
        assert_eq!(said(word("region", "us-east-1")), "");
        for (bad, why) in
            [("", "is empty"), ("geheim\n", "ends in"), ("ge heim", "place 3"), ("geheimé", "place 7")]
        {
            let said = said(word("access_key_id", bad));
            assert!(
                said.contains("`access_key_id`") && said.contains(why) && !said.contains("heim"),
                "{said}"
            );
        }
        for good in ["logs", "My_Logs.2", "$web"] {
            assert_eq!(said(bucket("bucket", good)), "", "{good}");
        }
        for bad in ["lo gs", "a/b", "a?b", "a%20b"] {
            assert!(said(bucket("bucket", bad)).contains("`bucket`"), "{bad}");
        }
    }

    #[test]
    fn a_container_or_a_bucket_that_the_store_could_not_have_is_told() {
        let long = "x".repeat(64);
        for good in ["logs", "my-logs-2", "$web", "$root", "1ab", &long[1..]] {
            assert_eq!(said(container("container", good)), "", "{good}");
        }
        for bad in ["Logs", "my_logs", "my.logs", "my--logs", "-logs", "logs-", "lo", "$", &long, "a b"] {
            assert!(said(container("container", bad)).contains("`container`"), "{bad}");
        }
        for good in ["logs", "my_logs-2", "logs.example.com", &long[1..]] {
            assert_eq!(said(google_bucket("bucket", good)), "", "{good}");
        }
        for bad in ["Logs", "_logs", "logs.", "a..b", "lo", "$web", &long] {
            assert!(said(google_bucket("bucket", bad)).contains("`bucket`"), "{bad}");
        }
    }
}
