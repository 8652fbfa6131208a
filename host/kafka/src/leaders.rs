//! Partitions that nobody leads: they can be neither read nor written, though their topic is there.

use rdkafka::metadata::MetadataTopic;

/// Most partitions that are named.
const NAMED: usize = 5;

/// What is wrong with a topic that has partitions without a leader, if it has any.
pub fn leaderless(topic: &MetadataTopic) -> Option<String> {
    let partitions = topic.partitions();
    let without: Vec<i32> = partitions.iter().filter(|p| p.leader() < 0).map(|p| p.id()).collect();
    told(&without, partitions.len())
}

fn told(without: &[i32], all: usize) -> Option<String> {
    let named: Vec<String> = without.iter().take(NAMED).map(ToString::to_string).collect();
    let more = if without.len() > NAMED { ", …" } else { "" };
    let which = format!("{}{more}", named.join(", "));
    (!without.is_empty()).then(|| {
        format!(
            "{} of its {all} partitions have no leader ({which}): the brokers that have them are down",
            without.len()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_without_a_leader_are_told_and_the_first_of_them_named() {
        assert_eq!(told(&[], 3), None);
        let one = told(&[2], 3).unwrap();
        assert!(one.starts_with("1 of its 3 partitions have no leader (2): "), "{one}");
        let many = told(&(0..100).collect::<Vec<_>>(), 100).unwrap();
        assert!(many.contains("(0, 1, 2, 3, 4, …)"), "{many}");
    }
}
