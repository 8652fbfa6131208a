use super::*;

async fn said(status: u16, after: Option<&str>, body: &str) -> Said {
    let mut answer = hyper::Response::builder().status(status);
    if let Some(after) = after {
        answer = answer.header("retry-after", after);
    }
    match text("cluster", Ok(answer.body(body.to_owned()).unwrap().into())).await {
        Err(Trouble::Said(said)) => said,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_the_cluster_decided_is_read_whatever_stands_in_its_words() {
    for (message, told) in [
        (r#""value '\ud800'""#, "cluster answers 400: BadRequest_X: value '\u{fffd}\u{fffd}\u{fffd}'"),
        ("null", "cluster answers 400: BadRequest_X: "),
        ("17", "cluster answers 400: BadRequest_X: 17"),
    ] {
        let body = format!(r#"{{"error":{{"code":"BadRequest_X","@message":{message},"@permanent":true}}}}"#);
        let said = said(400, None, &body).await;
        assert_eq!((said.text.as_str(), said.is_final()), (told, true));
    }
}

#[tokio::test]
async fn a_pause_that_the_cluster_asks_for_has_an_end() {
    for (after, pause) in [("7", Some(7)), ("18446744073709551615", Some(600)), ("soon", None)] {
        assert_eq!(said(429, Some(after), "").await.after, pause.map(Duration::from_secs), "{after}");
    }
}

#[tokio::test]
async fn an_answer_that_leads_elsewhere_is_for_an_operator() {
    for status in [301, 302, 307] {
        assert_eq!(said(status, None, "").await.error().kind(), "denied", "{status}");
    }
}

#[test]
fn a_right_that_is_missing_is_so_for_one_table_or_for_all_and_credentials_for_all() {
    let fate = |status, code: &str, permanent| {
        Trouble::Said(Said { status, code: code.to_owned(), permanent, ..Said::default() }).fate()
    };
    let barred = |is_final| move |error: &WriteError| matches!(error, WriteError::Barred { is_final: is, .. } if *is == is_final);
    assert!(fate(403, "Forbidden", Some(true)).is_err_and(|error| barred(true)(&error)));
    assert!(fate(403, "Forbidden", None).is_err_and(|error| barred(false)(&error)));
    assert!(fate(403, "", None).is_err_and(|error| barred(false)(&error)));
    assert!(
        fate(401, "Unauthorized", Some(true))
            .is_err_and(|error| error.kind() == "denied" && !barred(true)(&error))
    );
}
