use super::*;

#[test]
fn a_message_stands_behind_a_header_of_one_zero() {
    let message = AgentToServer { instance_uid: vec![7; 16], sequence_num: 3, ..AgentToServer::default() };
    let bytes = framed(&message);
    assert_eq!(bytes[0], 0);
    assert_eq!(AgentToServer::decode(&bytes[1..]).unwrap(), message);
}

#[test]
fn an_answer_is_read_with_its_header_and_without_one() {
    let answer = ServerToAgent { instance_uid: vec![7; 16], flags: 1, ..ServerToAgent::default() };
    let plain = answer.encode_to_vec();
    let framed: Vec<u8> = [0].into_iter().chain(plain.clone()).collect();
    assert_eq!(unframed(&plain).unwrap(), answer);
    assert_eq!(unframed(&framed).unwrap(), answer);
    assert!(unframed(b"\0\xff\xff").is_err());
}

#[test]
fn fields_that_flitch_does_not_know_are_passed_over() {
    // Field 11, a message of the server's own, with a field in it.
    let bytes = [0, 0x5a, 2, 0x0a, 0, 0x30, 1];
    assert_eq!(unframed(&bytes).unwrap(), ServerToAgent { flags: 1, ..ServerToAgent::default() });
}
