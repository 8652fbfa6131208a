use flitch_tests::http_server::Reply;

use super::*;
use crate::client::tests::bench::{Bench, ok};
use crate::digest::Digest;
use crate::manifest::{MANIFEST, Manifest, WASM};

/// So long that every pause is over.
const LATER: Duration = Duration::from_secs(1 << 20);

#[test]
fn a_tag_is_asked_for_when_it_is_time_and_what_fails_is_told_until_it_does_not() {
    let (bench, health, placed) = (Bench::new(), Arc::<Health>::default(), Arc::<Placed>::default());
    let (registries, reference) = (bench.registries(), bench.reference(":1"));
    let component = |registries: &Registries| registries.component(&reference).unwrap();
    registries.load(&reference).unwrap();
    let first = component(&registries);
    let mut poll = Poll::new(reference.clone(), Duration::from_secs(600), &health, &placed);
    let asked = bench.asked.lock().len();
    poll.look(&registries, Instant::now());
    assert_eq!(bench.asked.lock().len(), asked, "it is not yet time");
    let evil = Manifest::of_component(b"{}", b"other").text();
    let told = |text: &[u8]| {
        let mut reply = ok(MANIFEST, text);
        reply.headers.push(("Docker-Content-Digest", Digest::of(text).to_string()));
        reply
    };
    for (reply, words) in [
        (Reply { status: 503, ..Reply::default() }, "503 Service Unavailable"),
        (told(&evil), "has no sha256:"),
        (ok(MANIFEST, b"<html>"), "cannot be read"),
    ] {
        bench.lie("manifests/1", reply);
        poll.look(&registries, Instant::now() + LATER);
        let ailment = health.ailments()[&format!("plugin {reference}")].clone();
        assert!(ailment.contains(words), "{words}: {ailment}");
        assert_eq!(component(&registries), first, "what runs goes on");
    }
    assert_eq!(poll.failures, 3);
    let asked = bench.asked.lock().len();
    poll.look(&registries, Instant::now());
    assert_eq!(bench.asked.lock().len(), asked, "it is not asked again at once");
    bench.lie(&format!("blobs/{}", Digest::of(b"other")), ok(WASM, b"other"));
    bench.lie(&format!("manifests/{}", Digest::of(&evil)), told(&evil));
    bench.lie("manifests/1", told(&evil));
    poll.look(&registries, Instant::now() + LATER);
    assert_eq!(component(&registries), Digest::of(b"other"));
    assert!(health.ailments().is_empty() && poll.failures == 0 && poll.said.is_none());
    let told = flitch_core::blocking::block_on(placed.next());
    assert_eq!(told.into_iter().collect::<Vec<_>>(), [registries.file(&reference).unwrap()]);
}
