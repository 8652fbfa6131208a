use super::*;

fn copied<T>(before: &[u8], bytes: &[u8], len: usize) -> List<T> {
    SHARED.with_borrow_mut(|shared| List::copy(before, bytes, len, shared))
}

#[test]
fn short_lists_of_an_answer_share_a_buffer_and_long_ones_do_not() {
    Shared::begin();
    let name = Name(copied(&[], b"a", 1));
    let numbers: List<i64> = copied(&[], &[7i64, -1].map(i64::to_ne_bytes).concat(), 2);
    let long: List<u8> = copied(&[], &[b'x'; SHORT + 1], SHORT + 1);
    let ends = Ends(copied(&0u32.to_ne_bytes(), &3u32.to_ne_bytes(), 2));
    let shared = Shared::end();
    assert_eq!(name.text(&shared), Ok("a"));
    let (numbers, ends, long) = (numbers.buffer(&shared), ends.buffer(&shared), long.buffer(&shared));
    assert_eq!(numbers.typed_data::<i64>(), [7, -1]);
    assert_eq!(ends.typed_data::<u32>(), [0, 3]);
    assert_eq!(&*long, [b'x'; SHORT + 1]);
    assert_eq!(numbers.data_ptr(), ends.data_ptr());
    assert_ne!(numbers.data_ptr(), long.data_ptr());
}

#[test]
fn what_an_answer_left_that_could_not_be_read_is_gone() {
    let _: List<u8> = copied(&[], b"left", 4);
    Shared::begin();
    let list: List<u8> = copied(&[], b"new", 3);
    assert_eq!(list.bytes(&Shared::end()), b"new");
    assert!(Name(vec![0xff].into()).text(&Shared::default()).is_err());
}

#[test]
fn a_column_of_an_answer_of_many_keeps_little_of_the_others_in_memory() {
    Shared::begin();
    let texts: Vec<String> = (0..1000).map(|n| format!("{n:0>200}")).collect();
    let lists: Vec<List<u8>> = texts.iter().map(|text| copied(&[], text.as_bytes(), 200)).collect();
    let shared = Shared::end();
    assert!(shared.0.as_ref().is_some_and(|all| all.len() <= SHARED_MOST));
    for (list, text) in lists.into_iter().zip(&texts) {
        assert_eq!(list.bytes(&shared), text.as_bytes());
        assert!(list.buffer(&shared).capacity() <= 2 * SHARED_MOST);
    }
}
