//! Runs the programs and reads their events; a proxy that spoils what passes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;

use serde_json::Value;

/// A running program.
pub(crate) struct Program {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Program {
    /// Starts `peers` with this command line; it ends after half a minute at the latest.
    pub(crate) fn start(line: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_peers"))
            .args(line.split_whitespace())
            .args(["--max-seconds", "30"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, input, output }
    }

    /// Starts a server and waits until it listens; gives its address too.
    pub(crate) fn start_server(line: &str) -> (Self, SocketAddr) {
        let mut server = Self::start(line);
        let listening = server.wait_for("listening");
        let address = listening["address"].as_str().expect("an address");
        (server, address.parse().expect("an address"))
    }

    /// The next event of this name; others are passed over.
    pub(crate) fn wait_for(&mut self, name: &str) -> Value {
        let mut line = String::new();
        loop {
            line.clear();
            let length = self.output.read_line(&mut line).expect("readable");
            assert!(length > 0, "ended before {name:?}");
            let event: Value = serde_json::from_str(&line).expect("JSON");
            if event["event"] == name {
                return event;
            }
        }
    }

    /// The next event of this name for which the condition holds.
    pub(crate) fn wait_until(&mut self, name: &str, holds: impl Fn(&Value) -> bool) -> Value {
        loop {
            let event = self.wait_for(name);
            if holds(&event) {
                return event;
            }
        }
    }

    /// Writes a line to standard input.
    pub(crate) fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("standard input is open");
        writeln!(input, "{line}").expect("the program reads");
    }

    /// Asks it to finish; gives its summary and exit status.
    pub(crate) fn finish(mut self) -> (Value, i32) {
        drop(self.input.take());
        self.end()
    }

    /// Waits for its own end; gives its summary and exit status.
    pub(crate) fn end(mut self) -> (Value, i32) {
        let summary = self.wait_for("summary");
        (summary, self.status())
    }

    /// Waits for its end; gives the exit status.
    pub(crate) fn status(mut self) -> i32 {
        self.child.wait().expect("it was started").code().expect("no signal")
    }

    /// Kills it at once.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it was started");
        self.child.wait().expect("it was started");
    }
}

/// Passes one connection after another on to `server`; `spoil` sees and may change each piece
/// of what the server sends. Gives the address to connect to.
pub(crate) fn spoiling_proxy(
    server: SocketAddr,
    spoil: impl Fn(&mut Vec<u8>) + Send + Clone + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client?, TcpStream::connect(server)?);
            let (mut up_from, mut up_to) = (client.try_clone()?, server.try_clone()?);
            thread::spawn(move || std::io::copy(&mut up_from, &mut up_to));
            let spoil = spoil.clone();
            thread::spawn(move || pass_on(server, client, &spoil));
        }
        Ok::<(), std::io::Error>(())
    });
    address
}

fn pass_on(
    mut from: TcpStream,
    mut to: TcpStream,
    spoil: &impl Fn(&mut Vec<u8>),
) -> std::io::Result<()> {
    let mut buffer = vec![0; 65_536];
    loop {
        let length = from.read(&mut buffer)?;
        let mut piece = buffer[..length].to_vec();
        if piece.is_empty() {
            return to.shutdown(std::net::Shutdown::Write);
        }
        spoil(&mut piece);
        to.write_all(&piece)?;
    }
}
