//! A small network of namespaces: a client, a director, two real servers. Every link of the
//! director is its own, and the servers answer the client by links of their own, so the director
//! sees one direction only (direct routing).

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use afpacket::capability;
use afpacket::thread::enter_network_namespace_at;

/// The virtual address; the director's own `lo` has it too, so that without a guard its kernel
/// would answer.
pub(crate) const VIRTUAL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
/// The virtual IPv6 address; the director's host does not have it.
pub(crate) const VIRTUAL_IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x80);
pub(crate) const PORT: u16 = 80;

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A network that goes when this is dropped.
pub(crate) struct Lab {
    name: String,
}

/// Whether privileged tests can run here. Where they must, they fail instead.
pub(crate) fn privileged(test: &str) -> bool {
    let missing: Vec<_> = capability::missing().iter().map(|one| one.name()).collect();
    if missing.is_empty() {
        return true;
    }
    let missing = missing.join(" and ");
    assert!(std::env::var_os("CI").is_none(), "{test} needs {missing}, and CI must run it");
    #[expect(clippy::print_stderr, reason = "a test that did not run must say so")]
    {
        eprintln!("{test} DID NOT RUN: it needs {missing}");
    }
    false
}

impl Lab {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let lab = Self { name: format!("l4dir-{}-{number}", std::process::id()) };
        for part in ["c", "d", "s1", "s2"] {
            lab.add_namespace(part);
        }
        lab.link_client();
        for server in ["1", "2"] {
            let part = format!("s{server}");
            let (way, back) = (format!("out{server}"), format!("back{server}"));
            let at = |net: &str, last: &str| format!("10.{net}.{server}.{last}/24");
            lab.link("d", &way, &at("2", "1"), &part, "out0", &at("2", "2"));
            lab.link("c", &back, &at("3", "1"), &part, "back0", &at("3", "2"));
            lab.ip(&part, &format!("route add 10.1.0.2/32 via 10.3.{server}.1"));
            lab.ip(&part, &format!("address add {VIRTUAL}/32 dev lo"));
            lab.ip(&part, &format!("route add fd01::2/128 via fd03:{server}::1"));
            lab.ip(&part, &format!("address add {VIRTUAL_IPV6}/128 dev lo nodad"));
        }
        lab.ip("d", &format!("address add {VIRTUAL}/32 dev lo"));
        lab
    }

    /// Links client and director, by which the client reaches the services.
    pub(crate) fn link_client(&self) {
        self.link("c", "in0", "10.1.0.2/24", "d", "in0", "10.1.0.1/24");
        self.ip("c", &format!("route add {VIRTUAL}/32 via 10.1.0.1"));
        self.ip("c", &format!("route add {VIRTUAL_IPV6}/128 via fd01::1"));
    }

    fn add_namespace(&self, part: &str) {
        run(&["netns", "add", &self.namespace(part)]);
        self.inside(part, || {
            for place in ["all", "default"] {
                let path = format!("/proc/sys/net/ipv4/conf/{place}/rp_filter");
                std::fs::write(path, "0").expect("rp_filter can be set");
            }
        });
        self.ip(part, "link set lo up");
    }

    fn link(&self, one: &str, name: &str, address: &str, other: &str, peer: &str, far: &str) {
        let (one_space, other_space) = (self.namespace(one), self.namespace(other));
        run(&[
            "link",
            "add",
            name,
            "netns",
            &one_space,
            "type",
            "veth",
            "peer",
            "name",
            peer,
            "netns",
            &other_space,
        ]);
        for (part, name, address) in [(one, name, address), (other, peer, far)] {
            self.ip(part, &format!("address add {address} dev {name}"));
            self.ip(part, &format!("address add {} dev {name} nodad", ipv6(address)));
            self.ip(part, &format!("link set {name} up"));
        }
    }

    fn namespace(&self, part: &str) -> String {
        format!("{}-{part}", self.name)
    }

    /// Where the namespace can be entered.
    pub(crate) fn path(&self, part: &str) -> PathBuf {
        PathBuf::from("/run/netns").join(self.namespace(part))
    }

    /// Runs `ip` inside a namespace; answers with what it prints.
    pub(crate) fn ip(&self, part: &str, arguments: &str) -> String {
        let namespace = self.namespace(part);
        let arguments: Vec<_> =
            ["-n", &namespace].into_iter().chain(arguments.split(' ')).collect();
        run(&arguments)
    }

    /// Removes all ingress filters of an interface of the director.
    pub(crate) fn remove_filters(&self, interface: &str) {
        run(&[
            "netns",
            "exec",
            &self.namespace("d"),
            "tc",
            "filter",
            "delete",
            "dev",
            interface,
            "ingress",
        ]);
    }

    /// Those of [`Self::filters`] that are guards': the fast path's has no classic instructions.
    pub(crate) fn guards(&self, interface: &str) -> Vec<String> {
        let filters = self.filters(interface);
        filters.lines().filter(|line| line.contains("bytecode")).map(str::to_owned).collect()
    }

    /// What `tc` lists as ingress filters of an interface of the director.
    pub(crate) fn filters(&self, interface: &str) -> String {
        let command = [
            "netns",
            "exec",
            &self.namespace("d"),
            "tc",
            "filter",
            "show",
            "dev",
            interface,
            "ingress",
        ];
        run(&command)
    }

    /// What `tc` lists as queueing disciplines of an interface of the director.
    pub(crate) fn disciplines(&self, interface: &str) -> String {
        run(&["netns", "exec", &self.namespace("d"), "tc", "qdisc", "show", "dev", interface])
    }

    /// Runs `work` on a thread inside a namespace.
    pub(crate) fn inside<T: Send>(&self, part: &str, work: impl FnOnce() -> T + Send) -> T {
        let path = self.path(part);
        thread::scope(|scope| {
            let thread = scope.spawn(move || {
                enter_network_namespace_at(&path).expect("the namespace can be entered");
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Makes a server answer each line with its own name and the line. Ends with the process.
    pub(crate) fn serve(&self, part: &'static str) {
        for address in [IpAddr::V4(VIRTUAL), IpAddr::V6(VIRTUAL_IPV6)] {
            let listener = self.inside(part, || TcpListener::bind((address, PORT)));
            let listener = listener.expect("the server's port is free");
            thread::spawn(move || {
                while let Ok((stream, _)) = listener.accept() {
                    thread::spawn(move || echo(part, stream));
                }
            });
        }
    }

    /// A connection of the client to the virtual service, within [`PATIENCE`].
    pub(crate) fn connect(&self) -> std::io::Result<Connection> {
        self.connect_to(VIRTUAL.into())
    }

    /// A connection of the client to the service at `address`, within [`PATIENCE`].
    pub(crate) fn connect_to(&self, address: IpAddr) -> std::io::Result<Connection> {
        let stream = self.inside("c", || {
            TcpStream::connect_timeout(&SocketAddr::new(address, PORT), PATIENCE)
        })?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Connection(BufReader::new(stream)))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for part in ["c", "d", "s1", "s2"] {
            drop(Command::new("ip").args(["netns", "delete", &self.namespace(part)]).output());
        }
    }
}

/// The IPv6 address that goes with an IPv4 one: 10.2.1.2/24 and fd02:1::2/64, 10.1.0.2/24 and
/// fd01::2/64.
fn ipv6(address: &str) -> String {
    let octets: Vec<_> = address.trim_end_matches("/24").split('.').collect();
    match octets.as_slice() {
        [_, net, "0", last] => format!("fd0{net}::{last}/64"),
        [_, net, server, last] => format!("fd0{net}:{server}::{last}/64"),
        _ => panic!("{address} is no address of the lab"),
    }
}

fn run(arguments: &[&str]) -> String {
    let output = Command::new("ip").args(arguments).output().expect("ip (iproute2) is installed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {}: {errors}", arguments.join(" "));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn echo(name: &str, stream: TcpStream) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while matches!(reader.read_line(&mut line), Ok(length) if length > 0) {
        let answer = format!("{name} {line}");
        if reader.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
        line.clear();
    }
}

/// A connection to an echo server.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Sends a line of `length` octets and checks the answer; which server gave it.
    pub(crate) fn exchange(&mut self, length: usize) -> std::io::Result<String> {
        let text: String = ('a'..='z').cycle().take(length).collect();
        self.0.get_mut().write_all(format!("{text}\n").as_bytes())?;
        let mut answer = String::new();
        self.0.read_line(&mut answer)?;
        let (server, echoed) = answer.split_once(' ').unwrap_or_default();
        assert!(echoed.trim_end() == text, "{} octets came back changed", echoed.len());
        Ok(server.to_owned())
    }
}

/// Waits until `condition` holds.
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "waited {PATIENCE:?} for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
