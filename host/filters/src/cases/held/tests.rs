use super::*;
use crate::settings::FilterSettings;
use crate::tests::context;

/// A case of a filter that adds a field and leaves the others as they are.
struct Beside(tempfile::TempDir);

impl Beside {
    fn new(record: &str, out: &str) -> Beside {
        let case = Beside(tempfile::tempdir().unwrap());
        std::fs::create_dir(case.0.path().join("case")).unwrap();
        case.write("settings.json", r#"{"set": {"a": 1}}"#);
        case.write("in.ndjson", &format!("{record}\n"));
        case.write("out.ndjson", &format!("{out}\n"));
        case
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join("case").join(name), text).unwrap();
    }

    fn done<T>(&self, what: impl FnOnce(&Held<'_>, &mut Component<'_>) -> T) -> T {
        let cases = Case::all(self.0.path()).unwrap();
        let (plugin, cx) = (FilterSettings::of("set"), context());
        what(&Held::new(self.0.path(), &cases[0]), &mut Component::new(&plugin, &cx))
    }

    fn run(&self) -> Result<(), String> {
        self.done(|held, component| held.run(component).and_then(|()| held.run_one_by_one(component)))
    }
}

/// Values that 64 bits or UTF-8 do not hold, and others that are near to them.
const ODD: [(&str, &str); 4] = [
    ("36893488147419103232", "36893488147419103999"),
    ("1e400", "1e401"),
    (r#""\ud83d""#, r#""\ud83c""#),
    ("[0.1234567890123456789]", "[0.1234567890123456788]"),
];

#[test]
fn a_value_beyond_64_bits_and_half_a_surrogate_pair_are_compared_exactly() {
    for (value, near) in ODD {
        let record = format!("{{\"v\":{value}}}");
        assert_eq!(Beside::new(&record, &format!("{{\"v\":{value},\"a\":1}}")).run(), Ok(()));
        let wrong = Beside::new(&record, &format!("{{\"v\":{near},\"a\":1}}")).run().unwrap_err();
        assert!(wrong.contains(&format!("is {value}, and should be {near}")), "{wrong}");
    }
}

#[test]
fn what_is_blessed_is_what_came_out_and_holds_then() {
    for (value, near) in ODD {
        let case = Beside::new(&format!("{{\"v\":{value}}}"), &format!("{{\"v\":{near},\"a\":1}}"));
        let bless = || case.done(|held, component| held.bless(component));
        assert_eq!((bless(), bless()), (Ok(true), Ok(false)));
        let text = std::fs::read_to_string(case.0.path().join("case/out.ndjson")).unwrap();
        assert_eq!(text, format!("{{\"a\":1,\"v\":{value}}}\n"));
        assert_eq!(case.run(), Ok(()));
    }
}

#[test]
fn the_tag_and_the_time_of_cases_may_stand_in_what_should_come_out() {
    let own = r#""@tag":"test","@timestamp":"1970-01-01T00:00:00Z""#;
    assert_eq!(
        Beside::new(&format!("{{\"v\":1,{own}}}"), &format!("{{\"v\":1,\"a\":1,{own}}}")).run(),
        Ok(())
    );
    let wrong = Beside::new("{\"v\":1}", "{\"v\":1,\"a\":1,\"@tag\":\"other\"}").run().unwrap_err();
    assert!(wrong.contains("`@tag` is missing, and should be \"other\""), "{wrong}");
}

#[test]
fn a_line_that_is_no_json_is_named() {
    let wrong = Beside::new("{\"v\":1}", "{\"v\":").run().unwrap_err();
    assert!(wrong.contains("out.ndjson: {\"v\":: "), "{wrong}");
}
