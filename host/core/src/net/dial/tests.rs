use tokio::net::TcpListener;

use super::*;

const SHORT: Duration = Duration::from_millis(10);

/// An address that says nothing: who listens there takes nobody, and there is no room for one more who waits. With what waits.
async fn silent() -> (SocketAddr, TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(connected) = timeout(SHORT, connect(address)).await {
        waiting.push(connected.unwrap());
    }
    (address, listener, waiting)
}

#[tokio::test(start_paused = true)]
async fn an_address_that_says_nothing_does_not_stand_before_the_others() {
    let (silent, _listener, _waiting) = silent().await;
    let open = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let open = open.local_addr().map(|address| (open, address)).unwrap();
    let within = Duration::from_secs(10);
    let end = Instant::now() + within;
    let stream = timeout(within, reach(&[silent, silent, open.1], end)).await.unwrap().unwrap();
    assert_eq!(stream.peer_addr().unwrap(), open.1);
}

#[tokio::test]
async fn an_address_that_refuses_is_passed_over_and_the_last_ones_error_is_told() {
    let refuses = || -> SocketAddr { (Ipv4Addr::LOCALHOST, flitch_tests::ports::free()).into() };
    let open = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = open.local_addr().unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    let stream = reach(&[refuses(), address], end).await.unwrap();
    assert_eq!(stream.peer_addr().unwrap(), address);
    let error = reach(&[refuses(), refuses()], end).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}
