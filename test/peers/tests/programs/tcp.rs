//! The TCP programs on loopback: what is whole counts as whole, and each way to break is seen.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::lab::{Program, spoiling_proxy};

const SERVER: &str = "tcp-server --listen 127.0.0.1:0 --name s1 --report-ms 50";

#[test]
fn long_connections_close_whole() {
    for listen in ["127.0.0.1:0", "[::1]:0"] {
        let (server, address) =
            Program::start_server(&format!("tcp-server --listen {listen} --name s1"));
        let mut client = Program::start(&format!(
            "tcp-long --connect {address} --connections 50 --interval-ms 20 --report-ms 50"
        ));
        let connected = client.wait_for("connected");
        assert_eq!((connected["up"].as_u64(), connected["broken"].as_u64()), (Some(50), Some(0)));
        assert_eq!(connected["servers"]["s1"], 50);
        client.wait_until("state", |state| state["records"].as_u64() >= Some(500));
        client.say("finish");
        let (summary, status) = client.end();
        assert_eq!((summary["closed"].as_u64(), status), (Some(50), 0));
        let (counts, status) = server.finish();
        assert_eq!((counts["errors"].as_u64(), counts["resets"].as_u64()), (Some(0), Some(0)));
        assert_eq!((counts["records"].as_u64(), status), (summary["records"].as_u64(), 0));
    }
}

#[test]
fn close_server_ends_only_the_flows_on_it() {
    let (server, address) = Program::start_server(SERVER);
    let mut client =
        Program::start(&format!("tcp-long --connect {address} --connections 5 --report-ms 50"));
    client.wait_for("connected");
    client.say("close-server s2");
    let state = client.wait_for("state");
    assert_eq!(state["up"], 5);
    client.say("close-server s1");
    client.wait_until("state", |state| state["closed"] == 5);
    assert_eq!(client.finish().1, 0);
    server.finish();
}

#[test]
fn a_killed_server_breaks_connections() {
    let (server, address) = Program::start_server(SERVER);
    let mut client = Program::start(&format!(
        "tcp-long --connect {address} --connections 3 --interval-ms 60000"
    ));
    client.wait_for("connected");
    server.kill();
    // Told at once, although the next record is not due for long.
    for _ in 0..3 {
        let broken = client.wait_for("broken");
        assert!(broken["cause"] == "eof" || broken["cause"] == "reset", "{broken}");
        assert_eq!(broken["server"], "s1");
    }
    let (summary, status) = client.finish();
    assert_eq!((summary["broken"].as_u64(), status), (Some(3), 1));
}

#[test]
fn changed_answers_are_corrupt() {
    let (server, address) = Program::start_server(SERVER);
    let proxy = spoiling_proxy(address, |piece| {
        if let Some(last) = piece.last_mut() {
            *last ^= 1;
        }
    });
    let mut client = Program::start(&format!("tcp-long --connect {proxy}"));
    assert_eq!(client.wait_for("broken")["cause"], "corrupt");
    assert_eq!(client.finish().1, 1);
    server.finish();
}

#[test]
fn an_answer_from_another_server_is_noticed() {
    let (server, address) = Program::start_server(SERVER);
    let pieces = Arc::new(AtomicUsize::new(0));
    // The name starts after the length (4 bytes) and the head (18 bytes) of a record.
    let proxy = spoiling_proxy(address, move |piece| {
        if pieces.fetch_add(1, Ordering::Relaxed) >= 3 {
            piece[23] = b'2';
        }
    });
    let mut client = Program::start(&format!("tcp-long --connect {proxy} --interval-ms 20"));
    let broken = client.wait_for("broken");
    assert_eq!((&broken["cause"], &broken["server"]), (&"wrong-server".into(), &"s1".into()));
    assert_eq!(client.finish().1, 1);
    server.finish();
}

#[test]
fn silence_is_a_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("bound");
    let mut client = Program::start(&format!("tcp-long --connect {address} --stall-ms 100"));
    assert_eq!(client.wait_for("broken")["cause"], "timeout");
    assert_eq!(client.finish().1, 1);
}

#[test]
fn short_connections_are_counted_by_server() {
    let (server, address) = Program::start_server(SERVER);
    for how in ["--rate 1000", "--concurrency 8", "--close server", "--close reset"] {
        let line = format!("tcp-short --connect {address} --count 200 {how}");
        let (summary, status) = Program::start(&line).end();
        assert_eq!((summary["ok"].as_u64(), status), (Some(200), 0), "{how}: {summary}");
        assert_eq!(summary["servers"]["s1"], 200);
        assert!(summary["connectP99Ms"].as_f64() >= summary["connectP50Ms"].as_f64());
    }
    let (counts, _) = server.finish();
    assert_eq!((counts["accepted"].as_u64(), counts["errors"].as_u64()), (Some(800), Some(0)));
}

#[test]
fn refusals_are_counted_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let line = format!("tcp-short --connect {address} --count 5 --rate 100");
    let (summary, status) = Program::start(&line).end();
    assert_eq!((summary["refused"].as_u64(), status), (Some(5), 1));
    let mut client = Program::start(&format!("tcp-long --connect {address}"));
    assert_eq!(client.wait_for("broken")["cause"], "connect-refused");
    assert_eq!(client.finish().1, 1);
}

#[test]
fn a_server_counts_broken_requests() {
    use std::io::Write;
    let (mut server, address) = Program::start_server(SERVER);
    let mut stranger = std::net::TcpStream::connect(address).expect("it listens");
    stranger.write_all(&[0, 0, 0, 20, 1, 2]).expect("open");
    drop(stranger);
    server.wait_for("warning");
    let (counts, status) = server.finish();
    assert_eq!((counts["errors"].as_u64(), status), (Some(1), 1));
}

#[test]
fn a_wrong_command_line_says_what_is_wrong() {
    for (line, word) in [
        ("tcp-long", "--connect"),
        ("tcp-long --connect nowhere", "nowhere"),
        ("tcp-short --connect 127.0.0.1:1 --rate 0", "--rate"),
        ("tcp-long --connect 127.0.0.1:1 --payload-bytes 2000000", "payload-bytes"),
        ("tcp-lnog", "tcp-long"),
    ] {
        let mut program = Program::start(line);
        let message = program.wait_for("error")["message"].to_string();
        assert!(message.contains(word), "{line}: {message}");
        assert_eq!(program.status(), 2);
    }
}
