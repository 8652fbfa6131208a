use super::*;
use crate::testing::context;

#[test]
fn what_is_wrong_with_one_partition_is_told_once_and_lasts_while_others_are_read() {
    let (cx, ..) = context("in");
    let mut trouble = Trouble::new(&cx);
    let ailment = || cx.health.ailments().get("source in").cloned();
    let fail = |trouble: &mut Trouble, partition| {
        trouble.of_partition("t", partition, RDKafkaErrorCode::UnknownTopicOrPartition, "gone");
    };
    for _ in 0..3 {
        fail(&mut trouble, 0);
        fail(&mut trouble, 1);
        trouble.is_over("t", 2);
        assert_eq!(trouble.said.len(), 2);
    }
    assert!(ailment().unwrap().contains("partition 1"));
    trouble.no_beginning(&"no answer");
    trouble.is_over("t", 1);
    assert!(ailment().unwrap().contains("partition 0"), "{:?}", ailment());
    trouble.forget("t", 0);
    assert_eq!(ailment(), None);
    fail(&mut trouble, 0);
    assert!(ailment().is_some());
}

#[test]
fn of_messages_that_do_not_expand_it_tells_what_to_raise() {
    let (cx, ..) = context("in");
    let mut trouble = Trouble::new(&cx);
    trouble.of_partition("t", 0, RDKafkaErrorCode::BadCompression, "too large");
    let what = cx.health.ailments().get("source in").cloned().unwrap();
    assert!(what.contains("`receive.message.max.bytes`"), "{what}");
}
