use super::*;

#[test]
fn a_probation_of_no_time_is_none_and_one_of_a_time_lasts_so_long() {
    let read = |text: &str| serde_json::from_str::<ProbationSettings>(text).map(|settings| settings.r#for.0);
    assert_eq!(read(r#"{"for":"0s"}"#).unwrap(), Duration::ZERO);
    assert_eq!(read(r#"{"for":0}"#).unwrap(), Duration::ZERO);
    assert_eq!(read(r#"{"for":"5s"}"#).unwrap(), Duration::from_secs(5));
    assert!(read(r#"{"for":5}"#).unwrap_err().to_string().contains("a time with a unit"));
}
