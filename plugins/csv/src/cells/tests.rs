use super::*;

const COMMA: Grammar = Grammar { delimiter: b',', quote: Some(b'"'), trim: false };

fn split(grammar: Grammar, text: &str) -> Result<Vec<String>, String> {
    let mut cells = Cells::default();
    grammar.split(text, 1000, &mut cells)?;
    let whole = cells.text(text);
    Ok(cells.spans.iter().map(|(from, to)| whole[*from..*to].to_owned()).collect())
}

#[test]
fn cells_are_parted_by_the_delimiter_outside_of_quotes() {
    assert_eq!(split(COMMA, "a,b,,é").unwrap(), ["a", "b", "", "é"]);
    assert_eq!(split(COMMA, "").unwrap(), [""]);
    assert_eq!(split(COMMA, ",").unwrap(), ["", ""]);
    assert_eq!(split(COMMA, r#""a,b","x""y","",c"d"#).unwrap(), ["a,b", "x\"y", "", "c\"d"]);
    assert_eq!(split(COMMA, "\"two\nlines\",b\r\n").unwrap(), ["two\nlines", "b"]);
    assert_eq!(split(COMMA, r#""""""#).unwrap(), ["\""]);
}

#[test]
fn other_delimiters_and_quotes_are_taken_and_blanks_go_when_told() {
    let tabs = Grammar { delimiter: b'\t', quote: None, trim: false };
    assert_eq!(split(tabs, "a\t\"b\t").unwrap(), ["a", "\"b", ""]);
    let single = Grammar { delimiter: b';', quote: Some(b'\''), trim: true };
    assert_eq!(split(single, "  a b ; 'x;''y ' ;; ").unwrap(), ["a b", "x;'y ", "", ""]);
}

#[test]
fn what_is_wrong_is_named_with_its_cell() {
    assert_eq!(split(COMMA, r#"a,"b"#).unwrap_err(), "cell 2 has no closing quote");
    assert_eq!(split(COMMA, r#"a,"b"""#).unwrap_err(), "cell 2 has no closing quote");
    assert_eq!(split(COMMA, r#""a"b,c"#).unwrap_err(), "cell 1 goes on behind its closing quote");
    assert_eq!(split(COMMA, "a,b\nc,d").unwrap_err(), "the text has a second line, in cell 2");
}

#[test]
fn no_more_cells_are_kept_than_are_asked_for_and_one() {
    let mut cells = Cells::default();
    COMMA.split(&"x,".repeat(10_000), 3, &mut cells).unwrap();
    assert_eq!(cells.spans.len(), 4);
}

#[test]
fn what_a_writer_writes_is_read_again() {
    let alphabet = ["a", "\"", ",", "\n", " ", "é", ""];
    for first in alphabet {
        for second in alphabet {
            for third in alphabet {
                let wanted = [format!("{first}{second}"), third.to_owned()];
                let quoted = wanted.clone().map(|cell| format!("\"{}\"", cell.replace('"', "\"\"")));
                assert_eq!(split(COMMA, &quoted.join(",")).unwrap(), wanted);
            }
        }
    }
}
