use super::*;

/// Each record is a blob.
const ALONE: &str = r#""max_bytes": "1B""#;

impl Bench {
    /// Delivers 21 records, of which the last 20 come to the cluster while it thinks about the first.
    async fn twenty_at_once(&self, more: &str) -> Accounts {
        self.kusto.close_gate();
        let running = flitch_core::tasks::joined(self.start(&format!("{TO}, {ALONE}, {more}"), &context()));
        self.push(numbered(0, 1)).await;
        until(|| self.kusto.blobs() == 1).await;
        for n in 1..21 {
            self.push(numbered(n, 1)).await;
        }
        until(|| self.kusto.blobs() == 21).await;
        self.kusto.open_gate();
        self.buffer.close();
        running.await.unwrap();
        let accounts = self.ledger.read();
        assert_eq!(accounts.in_flight(), 0);
        accounts
    }

    /// How many blobs were in each request that told of some.
    fn told(&self) -> Vec<usize> {
        let state = self.kusto.state();
        let told =
            state.requests.iter().filter(|r| r.method == "POST" && r.path.contains("/ingestion/queued/"));
        let blobs = told.map(|request| {
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            body["blobs"].as_array().unwrap().len()
        });
        blobs.collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_blob_of_twenty_in_a_request_that_is_refused_costs_its_records_alone() {
    let bench = Bench::new();
    let code = "Stream_ClosingQuoteMissing";
    bench.kusto.state().refuses = Some((b"<line 7, ".to_vec(), code, "Permanent"));
    let accounts = bench.twenty_at_once(r#""tags": ["edge"]"#).await;
    assert_eq!((accounts.delivered, accounts.dead_lettered), (20, 1));
    assert_eq!(bench.numbers(), (0..21).filter(|n| *n != 7).collect::<Vec<_>>());
    assert_eq!(bench.dead()[0]["record"]["n"], 7);
    assert!(bench.told().len() <= 3, "{:?}", bench.told());
    // What became of them was asked for all, and not for each.
    assert!(bench.kusto.asked("GET", "/v1/rest/ingestion/queued/") <= 12);
    let state = bench.kusto.state();
    assert!(state.tables[&("db".to_owned(), "t".to_owned())].tags.contains("edge"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_has_no_more_blobs_than_the_cluster_says_that_it_takes() {
    for (most, requests) in [(8, 4), (1, 21)] {
        let bench = Bench::new();
        bench.kusto.state().most_blobs = most;
        let accounts = bench.twenty_at_once(r#""mode": "queued""#).await;
        assert_eq!((accounts.delivered, bench.numbers()), (21, all(21)));
        let told = bench.told();
        // The last of them may still be on its way from the storage when the first answer comes.
        assert!((requests..=requests + 1).contains(&told.len()), "{told:?}");
        assert!(told.iter().all(|blobs| *blobs <= most) && told.iter().sum::<usize>() == 21, "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_refused_for_one_blob_is_made_again_for_each() {
    let bench = Bench::new();
    // The ninth blob that is written.
    let disliked = Arc::new(Mutex::new(None));
    let watched = disliked.clone();
    bench.kusto.state().watches = Some(Box::new(move |path, number| {
        if number == 9 {
            *watched.lock() = Some(path.to_owned());
        }
    }));
    bench.kusto.close_gate();
    let running = flitch_core::tasks::joined(bench.start(&format!("{TO}, {ALONE}"), &context()));
    for n in 0..21 {
        bench.push(numbered(n, 1)).await;
    }
    until(|| bench.kusto.blobs() == 21).await;
    bench.kusto.state().dislikes = disliked.lock().clone();
    bench.kusto.open_gate();
    bench.buffer.close();
    running.await.unwrap();
    let accounts = bench.ledger.read();
    assert_eq!((accounts.delivered, accounts.dead_lettered), (20, 1));
    assert!(bench.dead()[0]["reason"].as_str().unwrap().contains("BadRequest_InvalidBlobUri"));
    assert_eq!(bench.numbers().len(), 20, "each once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_that_the_cluster_asks_for_is_for_all_of_a_request_and_nothing_comes_twice() {
    let bench = Bench::new();
    bench.kusto.state().throttles = 2;
    let accounts = bench.twenty_at_once(r#""mode": "queued""#).await;
    assert_eq!((accounts.delivered, bench.numbers()), (21, all(21)));
    assert_eq!(bench.kusto.blobs(), 21, "none was written again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blobs_with_a_tag_of_their_own_and_those_of_other_tables_are_told_of_by_themselves() {
    let bench = Bench::new();
    let accounts = bench.twenty_at_once(r#""ingest_by": true"#).await;
    assert_eq!((accounts.delivered, bench.told()), (21, vec![1; 21]));
    let bench = Bench::new();
    bench.kusto.state().makes_tables = true;
    for n in 0..10 {
        bench.push(numbered(n, 1)).await;
    }
    let more = format!(r#""database": "db", "table": "t{{n}}", {ALONE}"#);
    let accounts = bench.finish(&more).await;
    assert_eq!((accounts.delivered, bench.told()), (10, vec![1; 10]));
    assert_eq!(bench.kusto.lines("db", "t3").len(), 1);
}
