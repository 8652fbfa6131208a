use std::cell::Cell;

use super::*;

fn failing(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.raw_os_error())
}

#[tokio::test(start_paused = true)]
async fn a_listener_waits_while_no_descriptor_is_free_and_says_so_once() {
    let connections = Connections::new("test", 1);
    let tries = Cell::new(0);
    let begun = Instant::now();
    let client = connections
        .accept(|| {
            tries.set(tries.get() + 1);
            let free = tries.get() > 50;
            async move { if free { Ok("client") } else { Err(failing(Errno::MFILE)) } }
        })
        .await;
    assert_eq!((client, tries.get()), ("client", 51));
    assert_eq!(begun.elapsed(), 50 * PAUSE, "it does not spin");
    assert!(!connections.shared.said_short.may_say(), "it was said within the last minute");
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(connections.shared.said_short.may_say());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_before_it_is_taken_holds_up_nobody() {
    let connections = Connections::new("test", 1);
    let tries = Cell::new(0);
    let begun = Instant::now();
    connections
        .accept(|| {
            tries.set(tries.get() + 1);
            let gone = tries.get() < 3;
            async move { if gone { Err(failing(Errno::CONNABORTED)) } else { Ok(()) } }
        })
        .await;
    assert_eq!((tries.get(), begun.elapsed()), (3, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn the_connection_that_has_rested_longest_leaves_for_the_next_client() {
    let connections = Connections::new("test", 3);
    let (first, second, third) =
        (connections.slot().await, connections.slot().await, connections.slot().await);
    for slot in [&first, &second, &third] {
        slot.rest();
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    // The oldest has a request under way, and the one behind it began to rest again just now.
    first.work();
    second.work();
    second.rest();
    let gone = async {
        third.leave().await;
        drop(third);
    };
    let ((), _fourth) = tokio::join!(gone, connections.slot());
    assert_eq!(connections.open(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_has_just_come_is_given_time_for_its_header() {
    let connections = Connections::new("test", 1);
    let slot = connections.slot().await;
    slot.rest();
    let begun = Instant::now();
    let leave = async {
        slot.leave().await;
        assert_eq!(begun.elapsed(), RESTED);
        drop(slot);
    };
    tokio::join!(leave, connections.slot());
}

#[tokio::test(start_paused = true)]
async fn connections_that_work_are_waited_for() {
    let connections = Connections::new("test", 2);
    let slots = (connections.slot().await, connections.slot().await);
    slots.0.rest();
    slots.0.work();
    let waited = tokio::time::timeout(Duration::from_secs(60), connections.slot()).await;
    assert!(waited.is_err(), "nobody can be asked to leave");
    drop(slots);
    connections.ended().await;
    assert_eq!(connections.open(), 0);
}
