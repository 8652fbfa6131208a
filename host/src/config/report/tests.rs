use std::fmt::Write;
use std::path::Path;

use super::super::interpolate::Outside;
use super::super::parse;

fn wrong(text: &str) -> [String; 2] {
    let outside = Outside { variable: &|_| None, folder: Path::new("/") };
    let error = parse("flitch.yaml", text, &outside).unwrap_err();
    [error.report(false), error.to_string()]
}

const PARTS: &str =
    "sources: { in: { type: generator, format: nginx } }\noutputs: { out: { type: blackhole } }\n";

#[test]
fn of_thousands_of_problems_the_first_ones_are_told_and_the_others_counted() {
    let mut text = format!("{PARTS}pipelines:\n  main:\n    from: [in]\n    to:\n");
    for number in 0..5_000 {
        let _ = writeln!(text, "      - out{number}");
    }
    for told in wrong(&text) {
        assert!(told.contains("no output is named `out39`") && !told.contains("`out40`"), "{told}");
        assert!(told.contains("\nand 960 more"), "{told}");
    }
}

#[test]
fn a_report_that_ends_before_the_file_does_says_so() {
    for (sources, count) in [(3, "3 errors"), (99, "40 errors, and perhaps more")] {
        let lines: String = (0..sources).map(|number| format!("  s{number}: {{ typ: x }}\n")).collect();
        let [report, _] = wrong(&format!("sources:\n{lines}"));
        assert!(report.ends_with(&format!("flitch.yaml: {count}\n")), "{report}");
    }
}

#[test]
fn a_problem_in_a_line_that_a_machine_wrote_is_told_by_its_place_and_without_the_line() {
    // What shows lines cannot count columns beyond 65,535.
    let names: String = (0..40_000).map(|number| format!("out{number}, ")).collect();
    let text = format!("{PARTS}pipelines: {{ main: {{ from: [in], to: [{names}out] }} }}\n");
    for told in wrong(&text) {
        assert!(told.contains("flitch.yaml:3:39: no output is named `out0`"), "{told}");
        assert!(told.len() < 64 << 10, "{}", told.len());
    }
    let route = |number| format!("{{ output: out, when: {{ field: n, equals: {number} }} }}, ");
    let routes: String = (0..2_000).map(route).collect();
    let far = format!("{PARTS}pipelines: {{ main: {{ from: [in], to: [{routes}oout] }} }}\n");
    let [report, _] = wrong(&far);
    assert!(
        report.contains("no output is named `oout`") && report.contains("did you mean `out`"),
        "{report}"
    );
    let [report, line] = wrong(&format!("{PARTS}{}: 1\n", "k".repeat(900)));
    assert!(report.contains("╭─[flitch.yaml:3:1]") && line.len() < 8 << 10, "{report}");
    let [_, line] = wrong(&format!("{PARTS}{}: 1\n", "k".repeat(1_000_000)));
    assert!(line.len() < 16 << 10, "{}", line.len());
}
