use super::*;

#[test]
fn of_a_reason_that_holds_a_registrys_words_so_much_is_told() {
    let long = "é".repeat(MOST_TOLD);
    for error in [Error::Refused(long.clone()), Error::Failed(long.clone()), Error::Missing(long.clone())] {
        assert_eq!(error.to_string().len(), MOST_TOLD);
    }
    assert_eq!(Error::Failed("short".to_owned()).to_string(), "short");
}
