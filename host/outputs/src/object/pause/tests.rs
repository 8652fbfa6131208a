use super::*;

fn answer(status: u16, after: &str) {
    let headers = HeaderMap::from_iter([("retry-after".parse().unwrap(), after.parse().unwrap())]);
    hear(Some((StatusCode::from_u16(status).unwrap(), &headers)));
}

async fn asked(work: impl FnOnce() -> WriteError) -> WriteError {
    heeding(async { Err::<(), _>(work()) }).await.unwrap_err()
}

fn unreachable() -> WriteError {
    WriteError::Unreachable { reason: "no".to_owned() }
}

#[tokio::test]
async fn a_store_that_asks_for_a_pause_is_busy_for_as_long() {
    for status in [429, 500, 502, 503, 408] {
        let error = asked(|| {
            answer(status, "7");
            unreachable()
        });
        assert_eq!(error.await.after(), Some(Duration::from_secs(7)), "{status}");
    }
}

#[tokio::test]
async fn only_the_last_answer_counts_and_none_that_asks_an_operator_to_act() {
    let gone = asked(|| {
        answer(503, "7");
        hear(None);
        unreachable()
    });
    assert!(matches!(gone.await, WriteError::Unreachable { .. }));
    let denied = asked(|| {
        answer(503, "7");
        answer(403, "7");
        WriteError::Denied { reason: "no".to_owned() }
    });
    assert!(matches!(denied.await, WriteError::Denied { .. }));
}
