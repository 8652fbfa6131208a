use super::*;

#[test]
fn the_same_seed_and_number_make_the_same_record() {
    let line = |seed, number| {
        let mut out = Vec::new();
        nginx(seed, number, &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(line(1, 5), line(1, 5));
    assert_ne!(line(1, 5), line(1, 6));
    assert_ne!(line(1, 5), line(2, 5));
    assert_eq!(docker(3, 9).log, docker(3, 9).log);
    assert_eq!(web_event(3, 9), web_event(3, 9));
}

#[test]
fn every_nginx_line_has_the_same_length() {
    let mut out = Vec::new();
    for number in 0..1000 {
        out.clear();
        nginx(7, number, &mut out);
        assert_eq!(out.len(), NGINX_LINE, "{}", String::from_utf8_lossy(&out));
    }
}

#[test]
fn a_container_keeps_its_id() {
    let records: Vec<_> = (0..100).map(|n| docker(1, n)).collect();
    for name in CONTAINERS {
        let mut ids: Vec<_> =
            records.iter().filter(|r| r.container_name == name).map(|r| &r.container_id).collect();
        ids.dedup();
        assert_eq!(ids.len(), 1);
    }
}
