//! Random lives of log files against a model: every line arrives, and in order.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use proptest::prelude::*;

use super::super::super::rig::{Rig, Settle, ms, s};

#[derive(Clone, Debug)]
enum Event {
    /// Lines are appended to a file; the last one without its end if the flag is set.
    Append {
        file: usize,
        lines: usize,
        partial: bool,
    },
    /// logrotate renames, and the writer makes a new file.
    Rename {
        file: usize,
    },
    /// The same, but the writer goes on with the old file for a while.
    RenameWhileWriting {
        file: usize,
    },
    /// logrotate copies and cuts, when all is read.
    CopyTruncate {
        file: usize,
    },
    Remove {
        file: usize,
    },
    Pass(u64),
    /// The outputs send everything back for a while.
    Trouble,
    Stop,
    Kill,
    /// Nobody looks while files come and are rotated away, each under a number of its own.
    Away {
        file: usize,
        /// The file before them was seen to be rotated, and nothing had its name when it ended.
        seen: bool,
        killed: bool,
        lives: usize,
    },
}

const FILES: usize = 3;

fn event() -> impl Strategy<Value = Event> {
    let file = 0..FILES;
    prop_oneof![
        8 => (file.clone(), 1..40usize, prop::bool::weighted(0.2))
            .prop_map(|(file, lines, partial)| Event::Append { file, lines, partial }),
        2 => file.clone().prop_map(|file| Event::Rename { file }),
        1 => file.clone().prop_map(|file| Event::RenameWhileWriting { file }),
        1 => file.clone().prop_map(|file| Event::CopyTruncate { file }),
        1 => file.clone().prop_map(|file| Event::Remove { file }),
        4 => (1..3_000u64).prop_map(Event::Pass),
        1 => Just(Event::Trouble),
        1 => Just(Event::Stop),
        1 => Just(Event::Kill),
        1 => (file, any::<bool>(), any::<bool>(), 1..4usize)
            .prop_map(|(file, seen, killed, lives)| Event::Away { file, seen, killed, lives }),
    ]
}

/// The lines that were written, each with a number of its own: `<file>.<life of the file>.<number>`.
struct Model {
    rig: Rig,
    lives: [usize; FILES],
    numbers: [usize; FILES],
    written: Vec<String>,
    /// The last line has no end yet.
    open: [bool; FILES],
    /// When the file that has the name now was made.
    made: [Option<Instant>; FILES],
    rotations: usize,
}

impl Model {
    fn append(&mut self, file: usize, name: &str, lines: usize, partial: bool) {
        let mut text = String::new();
        if std::mem::take(&mut self.open[file]) {
            text.push('\n');
        }
        for line in 0..lines {
            let line_text = format!("{file}.{}.{}", self.lives[file], self.numbers[file]);
            self.numbers[file] += 1;
            text.push_str(&line_text);
            self.written.push(line_text);
            self.open[file] = partial && line + 1 == lines;
            if !self.open[file] {
                text.push('\n');
            }
        }
        self.rig.append(name, text);
        self.made[file].get_or_insert(self.rig.now);
    }

    /// A file that goes before it was ever found, and its position saved, is lost to those who only look.
    fn be_found(&mut self, file: usize) {
        if self.made[file].is_some_and(|made| self.rig.now < made + s(2)) {
            self.rig.pass(s(2));
        }
    }

    /// A new file of the same name.
    fn next_life(&mut self, file: usize) {
        self.lives[file] += 1;
        self.open[file] = false;
        self.made[file] = None;
    }

    fn play(&mut self, event: &Event) {
        let name = |file: &usize| format!("{file}.log");
        let exists = |model: &Model, file: &usize| model.rig.path(&name(file)).exists();
        match event {
            Event::Append { file, lines, partial } => self.append(*file, &name(file), *lines, *partial),
            Event::Rename { file } | Event::RenameWhileWriting { file } if exists(self, file) => {
                self.be_found(*file);
                self.rotations += 1;
                let old = format!("{file}.{}.old", self.rotations);
                self.rig.rename(&name(file), &old);
                if matches!(event, Event::RenameWhileWriting { .. }) {
                    // The walk finds the file before it grows and long before it is let go.
                    self.rig.pass(ms(1_100));
                    self.append(*file, &old, 2, false);
                }
                self.next_life(*file);
                // What is renamed twice between two walks is lost to those who only look.
                self.rig.pass(ms(1_100));
            }
            Event::CopyTruncate { file } if exists(self, file) => {
                // What is cut before it was seen is gone; a line without an end is not.
                self.rig.pass(ms(1_100));
                self.rotations += 1;
                self.rig.copytruncate(&name(file), &format!("{file}.{}.old", self.rotations));
                if self.open[*file] {
                    // A line without an end is kept in memory until the cut is seen.
                    self.rig.pass(ms(300));
                }
                self.next_life(*file);
            }
            Event::Remove { file } if exists(self, file) => {
                // What is removed before it was seen is gone.
                self.rig.pass(ms(1_100));
                self.rig.remove(&name(file));
                self.next_life(*file);
                self.rig.pass(s(8));
            }
            Event::Rename { .. }
            | Event::RenameWhileWriting { .. }
            | Event::CopyTruncate { .. }
            | Event::Remove { .. } => {}
            Event::Pass(time) => self.rig.pass(ms(*time)),
            Event::Trouble => {
                self.rig.settle = Settle::Again;
                self.rig.pass(ms(700));
                self.rig.settle = Settle::Delivered;
                self.rig.pass(s(2));
            }
            Event::Stop => {
                self.rig.stop();
                self.rig.start();
            }
            Event::Kill => self.rig.start(),
            Event::Away { file, seen, killed, lives } => {
                // What is known of a name is the file that had it last.
                self.append(*file, &name(file), 1, false);
                self.be_found(*file);
                if *seen {
                    self.rotate_by_number(*file);
                    self.rig.pass(ms(1_100));
                }
                if !killed {
                    self.rig.stop();
                }
                for _ in 0..*lives {
                    self.append(*file, &name(file), 2, false);
                    self.rotate_by_number(*file);
                }
                self.rig.start();
                self.rig.pass(ms(1_100));
            }
        }
    }

    fn rotate_by_number(&mut self, file: usize) {
        self.rotations += 1;
        self.rig.rename(&format!("{file}.log"), &format!("{file}.log.{}", self.rotations));
        self.next_life(file);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_line_arrives_and_in_the_order_of_its_file(events in prop::collection::vec(event(), 1..40)) {
        let mut rig = Rig::new();
        rig.start();
        let mut model = Model {
            rig, lives: [0; FILES], numbers: [0; FILES], written: Vec::new(), open: [false; FILES],
            made: [None; FILES], rotations: 0,
        };
        for event in &events {
            model.play(event);
        }
        model.rig.pass(s(10));
        let mut first: HashMap<&str, usize> = HashMap::new();
        for (place, got) in model.rig.got.iter().enumerate() {
            first.entry(&got.line).or_insert(place);
        }
        let mut last: HashMap<&str, usize> = HashMap::new();
        for line in &model.written {
            let place = first.get(line.as_str());
            prop_assert!(place.is_some(), "{line} is lost");
            let life = &line[..line.rfind('.').expect("a number")];
            if let Some(place) = place && let Some(before) = last.insert(life, *place) {
                prop_assert!(before < *place, "{line} came before the line before it");
            }
        }
        let known: HashSet<&str> = model.written.iter().map(String::as_str).collect();
        for got in &model.rig.got {
            // The end of a line that was sent unfinished is an empty record.
            prop_assert!(got.line.is_empty() || known.contains(got.line.as_str()), "{} was never written", got.line);
        }
        prop_assert_eq!(model.rig.accounts().in_flight(), 0);
    }
}
