//! The SCTP programs on loopback. They need raw sockets: without them these tests say so, and
//! fail under CI=true.

use std::io::Write;

use crate::lab::Program;
use socket2::{Domain, Protocol, Socket, Type};

/// Whether this process may open raw sockets.
fn can_run(test: &str) -> bool {
    match Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(132))) {
        Ok(_) => true,
        Err(error) => {
            assert!(
                std::env::var("CI").as_deref() != Ok("true"),
                "{test} needs raw sockets (CAP_NET_RAW): {error}"
            );
            // Not a print macro: those are captured and a passing test would hide it.
            let note = format!("NOT RUN: {test}: no raw sockets ({error}); run with CAP_NET_RAW\n");
            std::io::stderr().write_all(note.as_bytes()).expect("standard error is open");
            false
        }
    }
}

fn server(address: &str, port: u16) -> Program {
    let line = format!("sctp-server --address {address} --port {port} --name s1 --report-ms 50");
    Program::start_server(&line).0
}

#[test]
fn associations_close_whole() {
    if !can_run("associations_close_whole") {
        return;
    }
    for (address, connect) in [("127.0.0.1", "127.0.0.1:7101"), ("::1", "[::1]:7101")] {
        let server = server(address, 7101);
        // Records larger than a packet, so that fragments are reassembled on the way.
        let mut client = Program::start(&format!(
            "sctp-client --connect {connect} --source {address} --associations 20 \
             --interval-ms 20 --report-ms 50 --payload-bytes 5000"
        ));
        let connected = client.wait_for("connected");
        assert_eq!(connected["servers"]["s1"], 20);
        client.wait_until("state", |state| state["records"].as_u64() >= Some(200));
        client.say("finish");
        let (summary, status) = client.end();
        assert_eq!((summary["closed"].as_u64(), status), (Some(20), 0), "{summary}");
        let (counts, status) = server.finish();
        assert_eq!((counts["accepted"].as_u64(), counts["errors"].as_u64()), (Some(20), Some(0)));
        assert_eq!((counts["records"].as_u64(), status), (summary["records"].as_u64(), 0));
    }
}

#[test]
fn a_server_that_lost_its_associations_resets_them() {
    if !can_run("a_server_that_lost_its_associations_resets_them") {
        return;
    }
    let first = server("127.0.0.1", 7102);
    let mut client =
        Program::start("sctp-client --connect 127.0.0.1:7102 --source 127.0.0.1 --associations 3");
    client.wait_for("connected");
    first.kill();
    let second = server("127.0.0.1", 7102);
    assert_eq!(client.wait_for("broken")["cause"], "reset");
    let (summary, status) = client.finish();
    assert_eq!((summary["broken"].as_u64(), status), (Some(3), 1));
    second.finish();
}

#[test]
fn silence_is_a_timeout() {
    if !can_run("silence_is_a_timeout") {
        return;
    }
    let server = server("127.0.0.1", 7103);
    let mut client =
        Program::start("sctp-client --connect 127.0.0.1:7103 --source 127.0.0.1 --stall-ms 300");
    client.wait_for("connected");
    server.kill();
    assert_eq!(client.wait_for("broken")["cause"], "timeout");
    assert_eq!(client.finish().1, 1);
    // The client's own raw socket takes the packets, so nothing tells it that nobody serves.
    let mut client =
        Program::start("sctp-client --connect 127.0.0.1:7104 --source 127.0.0.1 --stall-ms 300");
    assert_eq!(client.wait_for("broken")["cause"], "connect-timeout");
    assert_eq!(client.finish().1, 1);
}

#[test]
fn options_that_cannot_work_are_refused() {
    for (line, word) in [
        ("sctp-client --connect 127.0.0.1:1", "--source"),
        ("sctp-client --connect 127.0.0.1:1 --source ::1", "--source"),
        ("sctp-client --connect 127.0.0.1:1 --source 127.0.0.1 --associations 60000", "ports"),
        ("sctp-server --address 0.0.0.0 --port 1 --name s", "0.0.0.0"),
    ] {
        let mut program = Program::start(line);
        let message = program.wait_for("error")["message"].to_string();
        assert!(message.contains(word), "{line}: {message}");
        assert_eq!(program.status(), 2);
    }
}
