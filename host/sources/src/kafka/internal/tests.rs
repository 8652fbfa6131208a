use regex::Regex;

use super::*;

fn hidden(topics: &[&str], name: &str) -> bool {
    let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
    let all = left_out(&topics);
    all.iter().flat_map(|all| all.split(',')).any(|one| Regex::new(one).unwrap().is_match(name))
}

#[test]
fn a_pattern_does_not_speak_of_the_brokers_own_topics() {
    for name in ["__", "__consumer_offsets", "___", "__.", "__-a"] {
        assert!(hidden(&["^.*"], name), "{name}");
        assert!(hidden(&["^_", "logs"], name), "{name}");
    }
    for name in ["_", "_schemas", "logs", "logs__", "-__"] {
        assert!(!hidden(&["^.*"], name), "{name}");
    }
}

#[test]
fn a_topic_that_is_named_is_seen_beside_a_pattern_and_no_other_of_its_kind_is() {
    let topics = ["^.*", "__a-b.c", "__a-b", "__z"];
    for name in ["__a-b.c", "__a-b", "__z", "a"] {
        assert!(!hidden(&topics, name), "{name}");
    }
    for name in
        ["__", "__a", "__a-", "__a-bc", "__a-b.", "__a-b.cd", "__a-bxc", "__zz", "__b", "__consumer_offsets"]
    {
        assert!(hidden(&topics, name), "{name}");
    }
}

#[test]
fn nothing_is_hidden_from_names_or_from_a_pattern_of_the_brokers_own() {
    for topics in [&["__consumer_offsets", "logs"][..], &["^.*", "^__consumer"][..], &[][..]] {
        assert!(!hidden(topics, "__consumer_offsets"), "{topics:?}");
    }
}
