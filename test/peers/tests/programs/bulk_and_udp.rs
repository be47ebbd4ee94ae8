//! The bulk and UDP programs on loopback.

use std::net::UdpSocket;

use crate::lab::{Program, spoiling_proxy};

#[test]
fn bulk_bytes_arrive_and_are_checked() {
    let (server, address) = Program::start_server("bulk-server --listen 127.0.0.1:0 --name s1");
    for direction in ["upload", "download"] {
        let line = format!(
            "bulk-client --connect {address} --bytes 3000001 --streams 3 --verify --direction {direction}"
        );
        let (summary, status) = Program::start(&line).end();
        assert_eq!((summary["bytes"].as_u64(), status), (Some(9_000_003), 0), "{summary}");
        assert_eq!(summary["servers"]["s1"], 3);
        assert!(summary["bitsPerSecond"].as_f64() > Some(0.0));
    }
    let (counts, status) = server.finish();
    assert_eq!(
        (counts["received"].as_u64(), counts["sent"].as_u64(), status),
        (Some(9_000_003), Some(9_000_003), 0)
    );
}

#[test]
fn bulk_for_a_time_ends_by_itself() {
    let (server, address) = Program::start_server("bulk-server --listen [::1]:0 --name s1");
    let line = format!("bulk-client --connect {address} --seconds 0.2");
    let (summary, status) = Program::start(&line).end();
    assert!(summary["bytes"].as_u64() > Some(0));
    assert_eq!(status, 0);
    server.finish();
}

#[test]
fn changed_bulk_content_is_corrupt() {
    let (server, address) = Program::start_server("bulk-server --listen 127.0.0.1:0 --name s1");
    let proxy = spoiling_proxy(address, |piece| {
        if piece.len() > 1000 {
            piece[500] ^= 1;
        }
    });
    let line =
        format!("bulk-client --connect {proxy} --bytes 100000 --verify --direction download");
    let (summary, status) = Program::start(&line).end();
    assert_eq!((summary["causes"]["corrupt"].as_u64(), status), (Some(1), 1), "{summary}");
    server.finish();
}

#[test]
fn datagrams_are_answered_and_counted() {
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let (server, address) =
            Program::start_server(&format!("udp-echo --listen {listen} --name s1"));
        let line = format!("udp-client --connect {address} --flows 4 --interval-ms 5 --count 20");
        let mut client = Program::start(&line);
        assert_eq!(client.wait_for("flow")["server"], "s1");
        let (summary, status) = client.end();
        assert_eq!((summary["answered"].as_u64(), status), (Some(80), 0), "{summary}");
        let (counts, _) = server.finish();
        assert_eq!((counts["datagrams"].as_u64(), counts["errors"].as_u64()), (Some(80), Some(0)));
    }
}

#[test]
fn silence_is_loss_and_may_be_allowed() {
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("bound");
    for (allowed, expected) in [("", 1), ("--allow-loss 3", 0)] {
        let line = format!(
            "udp-client --connect {address} --interval-ms 5 --timeout-ms 50 --count 3 {allowed}"
        );
        let (summary, status) = Program::start(&line).end();
        assert_eq!((summary["lost"].as_u64(), status), (Some(3), expected), "{summary}");
    }
}

#[test]
fn refused_and_wrong_datagrams_are_told_apart() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("bound");
    let line = format!("udp-client --connect {address} --timeout-ms 50 --interval-ms 5 --count 1");
    let client = Program::start(&line);
    let mut datagram = [0; 2000];
    let (_, from) = socket.recv_from(&mut datagram).expect("a datagram");
    socket.send_to(b"not an answer", from).expect("open");
    let (summary, status) = client.end();
    assert_eq!((summary["corrupt"].as_u64(), status), (Some(1), 1), "{summary}");
    drop(socket);
    let (summary, status) = Program::start(&line).end();
    assert_eq!((summary["refused"].as_u64(), status), (Some(1), 1), "{summary}");
}
