//! Syslog through real sockets, as rsyslog, nginx and HAProxy send it.

use std::time::Duration;

use meshlake_listen::{DatagramListener, Listener, Role};
use meshlake_schema::Table;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::Instant;

use super::{STOP_TIME_MAX, known_senders, start};

const TEXT: &str = "10.0.0.1 - - [22/Nov/2026:07:07:07 +0000] \"GET /a HTTP/1.1\" 200 12 \"-\" \"curl/8\"";

/// What a connection with `bytes` leaves in the log, in rows of `requests`, and how many were counted `broken_frame`.
async fn check(bytes: &[u8], rows: usize, broken: u64) {
    let running = start().await;
    let listener = Listener::bind("syslog_tcp", "127.0.0.1:0").expect("a free port");
    let address = listener.address();
    let served = listener.serve(running.collector.door(), running.collector.syslog()).expect("in a runtime");
    let mut stream = TcpStream::connect(address).await.expect("connect");
    stream.write_all(bytes).await.expect("sent");
    stream.shutdown().await.expect("ended");
    // What was sent is stored before the connection is closed.
    stream.read_to_end(&mut Vec::new()).await.ok();
    assert_eq!(running.log.rows(Table::Requests).into_iter().sum::<usize>(), rows);
    assert_eq!(running.counted("broken_frame"), broken);
    let peer = || ("127.0.0.1".to_owned(), "default".to_owned(), "requests", "access_log", 0);
    assert_eq!(known_senders(&running.collector), (rows > 0).then(peer).into_iter().collect::<Vec<_>>());
    assert!(served.stop(Instant::now() + STOP_TIME_MAX).await);
    running.stop().await;
}

#[tokio::test]
async fn messages_over_tcp_become_rows_in_both_framings() {
    let message = format!("<190>Nov 22 07:07:07 vm nginx: {TEXT}");
    check(format!("{message}\n").repeat(3).as_bytes(), 3, 0).await;
    check(format!("{message}\n{message}").as_bytes(), 2, 0).await;
    check(format!("{} {message}", message.len()).repeat(3).as_bytes(), 3, 0).await;
    check(b"", 0, 0).await;
    check(b"\n\n<190>\n", 0, 0).await;
}

#[tokio::test]
async fn what_came_before_broken_framing_is_stored() {
    let message = format!("<190>Nov 22 07:07:07 vm nginx: {TEXT}");
    let counted = format!("{} {message}", message.len());
    check(format!("{counted}x{counted}").as_bytes(), 1, 1).await;
    check(format!("{counted}{counted}9999999999 x").as_bytes(), 2, 1).await;
}

#[tokio::test]
async fn a_long_message_and_the_one_behind_it_are_kept() {
    let long = format!("<190>Nov 22 07:07:07 vm nginx: {}\n", "x".repeat(1 << 20));
    check(format!("{long}<190>Nov 22 07:07:07 vm nginx: {TEXT}\n").as_bytes(), 2, 0).await;
}

/// A connection that says nothing more holds up no stop, and loses no message.
#[tokio::test]
async fn a_stop_stores_what_has_come() {
    let running = start().await;
    let listener = Listener::bind("syslog_tcp", "127.0.0.1:0").expect("a free port");
    let address = listener.address();
    let served = listener.serve(running.collector.door(), running.collector.syslog()).expect("in a runtime");
    running.log.hold();
    let mut stream = TcpStream::connect(address).await.expect("connect");
    stream.write_all(format!("<190>Nov 22 07:07:07 vm nginx: {TEXT}\nhalf").as_bytes()).await.expect("sent");
    running.wait_until_held().await;
    running.log.release();
    assert!(served.stop(Instant::now() + STOP_TIME_MAX).await);
    assert_eq!(running.log.rows(Table::Requests).into_iter().sum::<usize>(), 2);
    running.stop().await;
}

#[tokio::test]
async fn datagrams_become_rows() {
    let running = start().await;
    let listener = DatagramListener::bind("syslog_udp", "127.0.0.1:0").expect("a free port");
    let address = listener.address();
    let served = listener.serve(Role::Sender, running.collector.syslog_datagrams()).expect("in a runtime");
    let client = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
    for message in [format!("<190>Nov 22 07:07:07 vm nginx: {TEXT}"), "<999>odd".to_owned(), String::new()] {
        client.send_to(message.as_bytes(), address).await.expect("sent");
    }
    let stored = async {
        while running.log.rows(Table::Requests).into_iter().sum::<usize>() < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), stored).await.expect("two rows");
    let peer = ("127.0.0.1".to_owned(), "default".to_owned(), "requests", "access_log", 0);
    assert_eq!(known_senders(&running.collector), [peer]);
    assert!(served.stop(Instant::now() + STOP_TIME_MAX).await);
    running.stop().await;
}
