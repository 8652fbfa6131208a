use super::*;

/// Servers by name, weight, and whether they are standby.
fn nodes(all: &[(&str, u32, bool)]) -> Nodes {
    let node = |(name, weight, standby): &(&str, u32, bool)| Node {
        name: (*name).to_owned(),
        weight: *weight,
        standby: *standby,
    };
    Nodes::new("out", all.iter().map(node).collect())
}

/// How many of so many writes that all go through each server takes.
fn shares(nodes: &Nodes, writes: usize) -> Vec<usize> {
    let mut shares = vec![0; nodes.all().len()];
    for _ in 0..writes {
        let turn = nodes.pick(&[]).unwrap();
        shares[turn.place()] += 1;
        turn.succeeded();
    }
    shares
}

fn fail(nodes: &Nodes, place: usize) {
    let others: Vec<usize> = (0..nodes.all().len()).filter(|other| *other != place).collect();
    nodes.pick(&others).unwrap().failed("it is gone", None);
}

#[tokio::test(start_paused = true)]
async fn writes_go_to_servers_by_their_weights_and_to_no_standby() {
    let nodes = nodes(&[("a", 3, false), ("b", 1, false), ("c", 5, true)]);
    assert_eq!(shares(&nodes, 40), [30, 10, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_failed_rests_and_standby_ones_take_the_place_of_its_weight() {
    let nodes = nodes(&[("a", 2, false), ("b", 2, false), ("c", 1, true), ("d", 1, true), ("e", 1, true)]);
    fail(&nodes, 0);
    let shares = shares(&nodes, 40);
    assert_eq!((shares[0], shares[1], shares[4]), (0, 20, 0), "{shares:?}");
    assert_eq!((shares[2], shares[3]), (10, 10), "{shares:?}");
}

#[tokio::test(start_paused = true)]
async fn one_write_tries_a_server_that_has_rested_and_the_rest_doubles() {
    let nodes = nodes(&[("a", 1, false), ("b", 1, false)]);
    fail(&nodes, 0);
    tokio::time::advance(RESTS.first).await;
    let trial = nodes.pick(&[]).unwrap();
    assert_eq!(trial.place(), 0);
    assert_eq!(shares(&nodes, 5), [0, 5], "all others go elsewhere meanwhile");
    trial.failed("still gone", None);
    tokio::time::advance(RESTS.first - Duration::from_millis(1)).await;
    assert_eq!(shares(&nodes, 5), [0, 5], "it rests a second at least, after the second failure");
    tokio::time::advance(RESTS.first * 2).await;
    assert_eq!(shares(&nodes, 1), [1, 0], "one write tries it");
    assert_eq!(shares(&nodes, 10), [5, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_is_given_up_leaves_it_to_the_next_write() {
    let nodes = nodes(&[("a", 1, false), ("b", 1, false)]);
    fail(&nodes, 0);
    tokio::time::advance(RESTS.first).await;
    drop(nodes.pick(&[]).unwrap());
    assert_eq!(nodes.pick(&[]).unwrap().place(), 0);
}

#[tokio::test(start_paused = true)]
async fn where_all_rest_the_one_that_may_be_tried_first_is_asked() {
    let nodes = nodes(&[("a", 1, false), ("b", 1, false)]);
    nodes.pick(&[1]).unwrap().failed("busy", Some(Duration::from_secs(30)));
    nodes.pick(&[0]).unwrap().failed("busy", Some(Duration::from_secs(20)));
    assert_eq!(nodes.pick(&[]).unwrap().place(), 1);
    assert_eq!(nodes.pick(&[1]).unwrap().place(), 0);
    assert!(nodes.pick(&[0, 1]).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_server_is_left_alone_for_as_long_as_it_asks() {
    let nodes = nodes(&[("a", 1, false), ("b", 1, false)]);
    nodes.pick(&[1]).unwrap().failed("busy", Some(10 * RESTS.longest));
    tokio::time::advance(9 * RESTS.longest).await;
    assert_eq!(shares(&nodes, 5), [0, 5]);
    tokio::time::advance(RESTS.longest).await;
    assert_eq!(shares(&nodes, 1), [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_no_rest_has_one_all_the_same() {
    let nodes = nodes(&[("a", 1, false), ("b", 1, false)]);
    nodes.pick(&[1]).unwrap().failed("busy", Some(Duration::ZERO));
    assert_eq!(shares(&nodes, 5), [0, 5]);
    tokio::time::advance(RESTS.first).await;
    assert_eq!(shares(&nodes, 1), [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn failures_of_writes_that_were_under_way_together_count_once() {
    let nodes = nodes(&[("a", 1, false), ("b", 1, false)]);
    let under_way: Vec<_> = (0..5).map(|_| nodes.pick(&[1]).unwrap()).collect();
    under_way.into_iter().for_each(|turn| turn.failed("it is gone", None));
    tokio::time::advance(RESTS.first).await;
    assert_eq!(nodes.pick(&[]).unwrap().place(), 0);
}
