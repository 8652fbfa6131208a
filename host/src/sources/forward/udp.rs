//! Heartbeats over UDP: Fluentd's forward output with `heartbeat_type udp` sends a packet, and one zero byte is the
//! answer.

use tokio::net::UdpSocket;

/// Answers heartbeats until it is dropped.
pub async fn answer(socket: UdpSocket) {
    let mut packet = [0; 64];
    loop {
        // A packet that cannot be read or answered is a client's that is gone; it sends the next one.
        if let Ok((_, from)) = socket.recv_from(&mut packet).await {
            let _ = socket.send_to(&[0], from).await;
        }
    }
}
