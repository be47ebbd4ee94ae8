//! Network namespaces without names: nothing is left behind, however a test ends.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use afpacket::netlink::Netlink;
use afpacket::netlink::route::RouteKind;
use afpacket::thread::{enter_network_namespace, new_network_namespace};

/// Longest wait for something that is to happen at once.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A network namespace.
pub(crate) struct Namespace {
    file: File,
}

impl Namespace {
    fn new() -> Result<Self, String> {
        let made = thread::spawn(|| -> Result<File, String> {
            new_network_namespace().map_err(|error| error.to_string())?;
            let file = File::open("/proc/thread-self/ns/net").map_err(|error| error.to_string())?;
            command("ip", &["link", "set", "lo", "up"])?;
            Ok(file)
        });
        made.join().expect("no panic").map(|file| Self { file })
    }

    /// Runs `work` on a thread inside.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                enter_network_namespace(self.file.as_fd()).expect("enter namespace");
                work()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs a program inside; returns what it says.
    pub(crate) fn words(&self, program: &str, words: &[&str]) -> String {
        self.run(|| command(program, words).unwrap_or_else(|why| panic!("{why}")))
    }

    /// Runs `ip` inside, words parted by blanks.
    pub(crate) fn ip(&self, words: &str) {
        self.words("ip", &words.split(' ').collect::<Vec<_>>());
    }

    /// Writes a setting below `/proc/sys/net`.
    pub(crate) fn set(&self, name: &str, value: &str) {
        let path = format!("/proc/sys/net/{name}");
        self.run(|| std::fs::write(&path, value).unwrap_or_else(|why| panic!("{path}: {why}")));
    }

    /// Waits until an interface passes frames: the kernel takes notice of a carrier in its own
    /// time, and loses without a word what is sent before.
    pub(crate) fn until_running(&self, name: &str) {
        self.run(|| {
            let mut netlink = Netlink::open().unwrap();
            eventually("the carrier", || {
                netlink.link_by_name(name).unwrap().filter(|link| link.running).map(drop)
            });
        });
    }

    /// Adds an IPv6 address and waits until it is in use, which the kernel sees to in its own time.
    pub(crate) fn add_ipv6(&self, address: &str, prefix: u8, interface: &str) {
        self.ip(&format!("addr add {address}/{prefix} dev {interface} nodad"));
        let address = address.parse().unwrap();
        self.run(|| {
            let mut netlink = Netlink::open().unwrap();
            eventually("the address in use", || {
                let route = netlink.route(address).unwrap();
                (route.kind == RouteKind::Local).then_some(())
            });
        });
    }

    /// Index of an interface inside.
    pub(crate) fn index(&self, name: &str) -> u32 {
        self.run(|| {
            let mut netlink = Netlink::open().unwrap();
            netlink.link_by_name(name).unwrap().expect("interface exists").index
        })
    }

    /// Hardware address of an interface inside.
    pub(crate) fn mac(&self, name: &str) -> [u8; 6] {
        self.run(|| {
            let mut netlink = Netlink::open().unwrap();
            let link = netlink.link_by_name(name).unwrap().expect("interface exists");
            link.mac.expect("ethernet")
        })
    }
}

fn command(program: &str, words: &[&str]) -> Result<String, String> {
    let output =
        Command::new(program).args(words).output().map_err(|why| format!("{program}: {why}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} {}: {said}", words.join(" ")))
}

/// A director's machine between machines of others.
pub(crate) struct Lab {
    /// Where the tested sockets are.
    pub here: Namespace,
}

impl Lab {
    /// A namespace on the other end of a new wire: `far` in it, `near` here, both up.
    pub(crate) fn neighbour(&self, near: &str, far: &str) -> Namespace {
        let there = Namespace::new().unwrap_or_else(|why| panic!("{why}"));
        // The files of this process are visible to `ip` under the process's number.
        let path = format!("/proc/{}/fd/{}", std::process::id(), there.file.as_raw_fd());
        self.here.ip(&format!("link add {near} type veth peer name {far} netns {path}"));
        for (namespace, name) in [(&self.here, near), (&there, far)] {
            namespace.set(&format!("ipv6/conf/{name}/accept_dad"), "0");
            namespace.ip(&format!("link set {name} up"));
        }
        self.here.until_running(near);
        there.until_running(far);
        there
    }
}

/// Runs `test` in a lab, or says why it cannot.
pub(crate) fn with_lab(name: &str, test: impl FnOnce(&Lab)) {
    match Namespace::new() {
        Ok(here) => test(&Lab { here }),
        Err(why) => not_run(name, &why),
    }
}

fn not_run(name: &str, why: &str) {
    let set = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    // How to grant a director's rights is no help here: a lab needs more.
    let why = why.split(';').next().unwrap_or(why);
    let line = format!(
        "privileged test {name} could not run: {why}; run as root or by \
         `unshare --user --map-root-user --net`"
    );
    assert!(!set("CI", "true") && !set("L4_REQUIRE_PRIVILEGED", "1"), "{line}");
    // Not by `eprintln!`, which the test harness hides for tests that do not fail.
    let line = format!("NOT RUN: {line}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// Asks again and again until there is an answer.
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::yield_now();
    }
}
