//! What becomes of a record depends on that record alone: through every stock filter with the settings of each of its
//! cases, and through conditions, templates and encodings, records come out the same one by one, all together, and in
//! random cuts. A new plugin is met by this without being told: its cases are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use flitch_core::batch::encode::msgpack::{Unfit, packed};
use flitch_core::batch::encode::{self, Encoder, Encoding, Format, Framing};
use flitch_core::batch::template::Template;
use flitch_core::router::{Condition, Mask};
use flitch_core::testing::json_of_msgpack;
use flitch_model::cases::Case;
use records::{ID, Record};

mod records;

/// The filters that ask whether a record came before: to them the same records mean something else a second time.
const REMEMBERING: [&str; 2] = ["dedupe", "throttle"];

/// What became of each record, by its number: in words, so that it can be compared and shown.
type Fates = BTreeMap<u64, Vec<String>>;

/// Records in batches: one by one, all together, and in two cuts between.
struct Cuts<'a> {
    seed: u64,
    all: &'a [Record],
    cuts: Vec<(&'static str, Vec<Arc<Records>>)>,
}

impl<'a> Cuts<'a> {
    fn of(seed: u64, all: &'a [Record]) -> Cuts<'a> {
        let mut random = fastrand::Rng::with_seed(seed);
        let cut = |size: &mut dyn FnMut() -> usize| {
            let (mut batches, mut rest) = (Vec::new(), all);
            while !rest.is_empty() {
                let (now, later) = rest.split_at(size().clamp(1, rest.len()));
                batches.push(records::batch(now));
                rest = later;
            }
            batches
        };
        let cuts = vec![
            ("alone", cut(&mut || 1)),
            ("together", cut(&mut || usize::MAX)),
            ("by seven", cut(&mut || 7)),
            ("in random cuts", cut(&mut || random.usize(1..40))),
        ];
        Cuts { seed, all, cuts }
    }

    /// Compares what `judge` says about each record in the several cuts.
    fn agree(&self, what: &str, mut judge: impl FnMut(Arc<Records>) -> Fates) {
        let mut fates = self.cuts.iter().map(|(cut, batches)| {
            let all = batches.iter().flat_map(|batch| judge(batch.clone())).collect::<Fates>();
            (*cut, all)
        });
        let (_, alone) = fates.next().expect("a cut");
        for (cut, fates) in fates {
            for Record { id, json } in self.all {
                let (one, other) = (alone.get(id), fates.get(id));
                assert!(
                    one == other,
                    "{what}, seed {}: record {id} fares otherwise {cut}:\n  {json}\nalone: {one:#?}\n{cut}: {other:#?}",
                    self.seed
                );
            }
        }
    }
}

/// A JSON object with its members in order, and the number of its record.
fn canonical(line: &[u8]) -> (u64, String) {
    let json: Json =
        serde_json::from_slice(line).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(line)));
    let id = json[ID].as_u64().unwrap_or_else(|| panic!("no number in {json}"));
    (id, json.to_string())
}

fn seeds() -> impl Iterator<Item = u64> {
    [1, fastrand::u64(..)].into_iter()
}

fn for_all_records(test: impl Fn(&Cuts<'_>)) {
    for seed in seeds() {
        test(&Cuts::of(seed, &records::random(seed, 200)));
    }
}

/// What an encoder writes for each record, or why it does not.
fn encoded(records: &Records, encoder: &Encoder) -> Vec<String> {
    let text = encoder.encode(records);
    let written = |row: usize| match encoder.encoding().format {
        Format::Ndjson => {
            let json: Json = serde_json::from_slice(text.row(row)).expect("JSON");
            json.to_string()
        }
        _ => format!("{:?}", String::from_utf8_lossy(text.row(row))),
    };
    let refused = |row: usize| text.refused.iter().find(|(refused, _)| *refused as usize == row);
    (0..records.rows())
        .map(|row| refused(row).map_or_else(|| written(row), |(_, why)| why.to_string()))
        .collect()
}

/// Holds a filter with the settings of a case to it that a record fares alike in any batch.
fn fares_alike(plugin: &str, case: &Case) {
    let what = format!("{plugin}/{}", case.name);
    let of = FilterSettings::of(plugin);
    let tables = case.tables().unwrap();
    let mut filter = crate::cases::load(&of, &case.settings, &tables, &context()).unwrap();
    let mut fate = |records: Arc<Records>| {
        let (out, rejected) = filter.run(records);
        let mut fates = Fates::new();
        let text = encode::ndjson_lossless(&out);
        let origin = |row: usize| out.origins().expect("origins go with the records").row(row);
        for row in 0..out.rows() {
            check_names(text.row(row));
            let json: Json = serde_json::from_slice(text.row(row)).expect("JSON");
            let (root, number) = origin(row);
            // A program may leave the record's number out.
            if let Some(id) = json[ID].as_u64() {
                assert_eq!(number, id, "{what}: it comes from where the record comes from");
            }
            fates.entry(number).or_default().push(format!("{root:x?} {json}"));
        }
        let ids: BTreeSet<u128> = (0..out.rows()).map(origin).map(|(root, number)| root.id(number)).collect();
        assert_eq!(ids.len(), out.rows(), "{what}: the parts of a record are told apart");
        for one in rejected {
            let (id, json) = canonical(&one.record);
            fates.entry(id).or_default().push(format!("rejected: {}: {json}", one.reason));
        }
        fates
    };
    let mut seen = records::of_lines(&case.input().unwrap());
    let fields = records::fields_of(&seen);
    for seed in seeds().take(2) {
        seen.extend(records::random_of(seed, 100, &fields));
    }
    records::number(&mut seen);
    Cuts::of(1, &seen).agree(&what, &mut fate);
}

#[test]
fn a_record_fares_alike_in_any_batch_through_every_case_of_every_stock_filter() {
    let filters = cases::all().filter(|(plugin, _)| !REMEMBERING.contains(plugin));
    let all = filters.flat_map(|(plugin, cases)| cases.into_iter().map(move |case| (plugin, case)));
    let all: Vec<(&str, Case)> = all.filter(|(_, case)| case.refused.is_none()).collect();
    assert!(all.len() > 20, "there are cases");
    // Minutes, on one core. Two threads, so that one that has the shorter cases helps the other.
    let next = AtomicUsize::new(0);
    let take = || {
        while let Some((plugin, case)) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            fares_alike(plugin, case);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(take);
        take();
    });
}

#[test]
fn a_record_is_encoded_alike_in_any_batch() {
    let encodings = [
        "{}",
        r#"{"timestamp":"time","timestamp_format":"unix_ms"}"#,
        r#"{"only":["o.m3","n","status","o.x"]}"#,
        r#"{"except":["o.m3","n300","time"],"rename":{"o.x":"x","n299":"y","o":"p"}}"#,
        r#"{"format":"text","field":"n"}"#,
        r#"{"format":"text","field":"o"}"#,
        r#"{"format":"text","field":"o.x"}"#,
        r#"{"format":"raw","field":"time","timestamp_format":"unix_ms"}"#,
        r#"{"format":"csv","columns":["n","o","o.x","o.m3","n300","time","status","@tag"]}"#,
    ];
    for_all_records(|cuts| {
        for text in encodings {
            let encoder = Encoder::new(serde_json::from_str(text).unwrap(), Framing::Lines).unwrap();
            cuts.agree(text, |records| {
                let ids = records::ids(&records);
                ids.into_iter().zip(encoded(&records, &encoder)).map(|(id, text)| (id, vec![text])).collect()
            });
        }
    });
}

#[test]
fn a_record_is_packed_alike_in_any_batch() {
    let encodings =
        ["{}", r#"{"timestamp":"time","timestamp_format":"unix_ms","except":["o.m3"],"rename":{"o.x":"x"}}"#];
    for_all_records(|cuts| {
        for text in encodings {
            let encoding: Encoding = serde_json::from_str(text).unwrap();
            cuts.agree(text, |records| {
                let ids = records::ids(&records);
                packed(&records, &encoding, |packer| {
                    let map = |row| {
                        let mut out = Vec::new();
                        packer.row(row, None, &mut out).map(|()| json_of_msgpack(&out).to_string())
                    };
                    let fate = |written: Result<_, Unfit>| written.unwrap_or_else(|error| error.to_string());
                    let maps: Vec<String> = (0..records.rows()).map(map).map(fate).collect();
                    ids.into_iter().zip(maps).map(|(id, map)| (id, vec![map])).collect()
                })
            });
        }
    });
}

#[test]
fn a_condition_holds_alike_in_any_batch() {
    let tests = [
        r#""exists":true"#,
        r#""exists":false"#,
        r#""equals":5"#,
        r#""equals":5.5"#,
        r#""equals":"5""#,
        r#""equals":true"#,
        r#""at_least":5"#,
        r#""at_most":"2026-01-01T00:00:00Z""#,
        r#""at_least":"m""#,
        r#""glob":["*0*","t*"]"#,
        r#""regex":"^[0-9.]+$""#,
        r#""in":[200,"x",1e300]"#,
    ];
    for_all_records(|cuts| {
        for field in records::FIELDS {
            for test in tests {
                let text = format!("{{\"field\":{},{test}}}", serde_json::to_string(field).unwrap());
                let Ok(condition) = serde_json::from_str::<Condition>(&text) else { continue };
                cuts.agree(&text, |records| {
                    let mask = condition.test(&records);
                    let holds = |row| match &mask {
                        Mask::All => true,
                        Mask::None => false,
                        Mask::Rows(bits) => bits.value(row),
                    };
                    let ids = records::ids(&records).into_iter().enumerate();
                    ids.map(|(row, id)| (id, vec![holds(row).to_string()])).collect()
                });
            }
        }
    });
}

#[test]
fn a_template_reads_alike_in_any_batch() {
    for_all_records(|cuts| {
        for field in records::FIELDS {
            for text in
                [format!("x-{{{field}}}"), format!("{{{field}|none}}"), format!("{{{field}:%Y-%m}}/{{@tag}}")]
            {
                let Ok(template) = Template::parse(&text) else { continue };
                for template in [template.clone(), template.for_paths()] {
                    cuts.agree(&text, |records| {
                        let rendered = records.render(&template);
                        let text = |row| rendered.row(row).map(String::from_utf8_lossy);
                        let ids = records::ids(&records).into_iter().enumerate();
                        ids.map(|(row, id)| (id, vec![format!("{:?}", text(row))])).collect()
                    });
                }
            }
        }
    });
}
