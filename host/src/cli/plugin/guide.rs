//! What a README says to somebody who asks at a terminal: what the plugin does, its settings and its fields.

/// The widest column that the next one is lined up behind.
const WIDEST: usize = 24;

/// The first lines, the first example, the settings, and the tables of fields, of a README in Markdown.
pub fn of(readme: &str) -> String {
    let mut out = String::new();
    let mut section = "";
    let mut seen_example = false;
    let mut lines = readme.lines().skip(1).peekable();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title;
            if title == "Settings" {
                out.push_str("\nSettings\n");
            }
        } else if line.starts_with("```") {
            let code: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
            if !std::mem::replace(&mut seen_example, true) {
                code.iter().for_each(|line| out.push_str(&format!("    {line}\n")));
            }
        } else if line.starts_with('|') {
            let mut rows = vec![cells(line)];
            while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
                rows.push(cells(row));
            }
            let is_of_fields = rows[0].iter().any(|title| title.contains("field"));
            if section == "Settings" || section.is_empty() || is_of_fields {
                table(&rows, &mut out);
            }
        } else if section == "Settings" || section.is_empty() {
            out.push_str(line);
            out.push('\n');
        }
    }
    out.trim_start().trim_end().to_owned() + "\n"
}

/// The cells of a row, without Markdown's marks. A bar that is escaped is part of its cell.
fn cells(row: &str) -> Vec<String> {
    let row = row.replace("\\|", "\u{1}");
    let inner = row.trim().trim_matches('|');
    inner.split('|').map(|cell| cell.trim().replace('`', "").replace('\u{1}', "|")).collect()
}

fn table(rows: &[Vec<String>], out: &mut String) {
    let is_rule = |row: &&Vec<String>| {
        !row.iter().all(|cell| !cell.is_empty() && cell.bytes().all(|b| b == b'-' || b == b':'))
    };
    let rows: Vec<&Vec<String>> = rows.iter().filter(is_rule).collect();
    let columns = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let length = |row: &&Vec<String>, column: usize| row.get(column).map_or(0, |cell| cell.chars().count());
    let width = |column| rows.iter().map(|row| length(row, column)).max().unwrap_or(0).min(WIDEST);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        out.push_str(&format!("    {}\n", cells.collect::<Vec<_>>().join("  ").trim_end()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::STOCK;

    #[test]
    fn every_stock_plugin_says_what_it_does_and_what_it_can_be_told() {
        for name in STOCK.names() {
            let readme = STOCK.readme(name).unwrap();
            let guide = of(readme);
            let first = readme.lines().skip(1).find(|line| !line.is_empty()).unwrap();
            assert!(guide.starts_with(first), "{name}: {guide}");
            assert!(guide.contains(&format!("plugin: {name}")), "{name} has no example: {guide}");
            let settings = guide.split("\nSettings\n").nth(1).unwrap_or_default();
            assert!(settings.trim().lines().count() > 1, "{name} has no settings: {guide}");
            assert!(!guide.contains("|---"), "{guide}");
        }
        assert!(
            of(STOCK.readme("dissect").unwrap()).contains("remote, user, time"),
            "the fields of the presets"
        );
    }
}
