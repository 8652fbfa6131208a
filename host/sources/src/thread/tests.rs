use super::*;

fn parts() -> (CancellationToken, Arc<Bell>) {
    (CancellationToken::new(), Arc::default())
}

#[tokio::test]
async fn the_thread_hears_of_the_stop_and_its_answer_is_that_of_the_source() {
    let (stop, bell) = parts();
    let heard = bell.clone();
    let work = move |is_left: &dyn Fn() -> bool| {
        assert!(heard.wait().stop && !is_left());
        anyhow::bail!("the disk is gone")
    };
    stop.cancel();
    let error = run("test".to_owned(), stop, bell, work).await.unwrap_err();
    assert_eq!(error.to_string(), "the disk is gone");
}

#[tokio::test]
async fn a_panic_of_the_thread_is_an_error_that_names_it() {
    let (stop, bell) = parts();
    let error = run("file-in".to_owned(), stop, bell, |_| panic!("of a bug")).await.unwrap_err();
    assert_eq!(error.to_string(), "the thread file-in ended by a panic");
}

#[tokio::test]
async fn a_thread_for_which_nobody_waits_any_more_is_told_and_knows_it() {
    let (stop, bell) = parts();
    let (heard, (tell, told)) = (bell.clone(), oneshot::channel());
    let work = move |is_left: &dyn Fn() -> bool| {
        let stop = heard.wait().stop;
        tell.send((stop, is_left())).unwrap();
        Ok(())
    };
    {
        let mut waits = Box::pin(run("test".to_owned(), stop, bell, work));
        assert!(is_under_way(&mut waits).await, "it waits for the thread");
    }
    assert_eq!(told.await.unwrap(), (true, true));
}

/// Whether a future is not finished yet when it is asked once.
async fn is_under_way(future: &mut (impl Future<Output = anyhow::Result<()>> + Unpin)) -> bool {
    tokio::select! {
        biased;
        _ = future => false,
        () = std::future::ready(()) => true,
    }
}
