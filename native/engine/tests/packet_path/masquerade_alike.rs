//! One masqueraded server behind two services: connections of one client port to both look alike from
//! the server's side, and what the server sends belongs to the one opened last.

use engine::command::{
    Command, ForwardingMethod, Persistence, Protocol, SchedulerName, ServerSpec,
};
use engine::snapshot::ConnectionFilter;
use engine::verdict::Verdict;

use crate::lab::frames::{ACK, FIN, Ip, RST, SYN, tcp_segment, udp_datagram};
use crate::lab::masquerading::{CLIENT, SERVER, VIPS, masquerading};
use crate::lab::sent::{End, SCTP, Sent, Shape, TCP, UDP, plain};
use crate::lab::{Lab, PORT, address, key, server_spec, service};

/// The second service of each family.
const SECOND: [&str; 2] = ["198.51.100.2", "2001:db8:5::2"];
const SERVER_PORT: u16 = 8080;
const FAMILIES: [usize; 2] = [0, 1];

const fn client(family: usize) -> End {
    (CLIENT[family], 40_000)
}

const fn server(family: usize) -> End {
    (SERVER[family], SERVER_PORT)
}

/// Two services of each protocol and family with one server.
fn twice() -> Lab {
    let mut lab = masquerading(SERVER_PORT);
    for protocol in [Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
        for family in FAMILIES {
            add(&mut lab, protocol, family, None);
        }
    }
    lab
}

/// Adds the second service of a protocol and family.
fn add(lab: &mut Lab, protocol: Protocol, family: usize, persistence: Option<Persistence>) {
    let second = key(protocol, SECOND[family]);
    let mut spec = service(second, SchedulerName::Rr, &[]);
    spec.persistence = persistence;
    let mut server = server_spec(SERVER[family], 1);
    server.key.port = Some(SERVER_PORT);
    let server = ServerSpec { forwarding: ForwardingMethod::Masquerading, ..server };
    lab.apply(&[
        Command::AddService { service: spec },
        Command::AddServer { service: second, server },
    ]);
}

fn shape(protocol: u8, flags: u8) -> Shape {
    Shape { protocol, ..plain(flags) }
}

fn ask(lab: &mut Lab, shape: &Shape, family: usize, vip: &'static str) {
    let outcome = shape.sent(client(family), (vip, PORT)).through(lab);
    assert!(matches!(outcome.verdict, Verdict::Forward { .. }), "{outcome:?}");
}

/// The address the client sees an answer of the server come from.
fn answered_from(lab: &mut Lab, shape: &Shape, family: usize) -> String {
    let outcome = shape.sent(server(family), client(family)).by_server().through(lab);
    assert!(matches!(outcome.verdict, Verdict::Return { .. }), "{outcome:?}");
    Sent::new(outcome.frames[0].clone()).ip.source.to_string()
}

/// When the entries of the client expire, by virtual address.
fn expiry(lab: &Lab, vip: &str) -> u64 {
    let page = lab.engine.connections(&ConnectionFilter::default(), 0, 64, lab.now);
    let rows = page.rows.iter().filter(|row| !row.template);
    let of_vip = rows.filter(|row| row.virtual_address.ip() == address(vip));
    of_vip.map(|row| row.expires_in_ms.0).max().unwrap_or_default()
}

#[test]
fn answers_belong_to_the_connection_opened_last() {
    for (protocol, family) in [TCP, UDP, SCTP].into_iter().flat_map(|p| FAMILIES.map(|f| (p, f))) {
        let mut lab = twice();
        let open = shape(protocol, SYN);
        ask(&mut lab, &open, family, VIPS[family]);
        assert_eq!(answered_from(&mut lab, &shape(protocol, SYN | ACK), family), VIPS[family]);
        lab.wait_ms(1000);
        ask(&mut lab, &open, family, SECOND[family]);
        let before = expiry(&lab, VIPS[family]);
        for wait in 0..3 {
            lab.wait_ms(wait * 100);
            assert_eq!(answered_from(&mut lab, &shape(protocol, ACK), family), SECOND[family]);
        }
        assert_eq!(before - expiry(&lab, VIPS[family]), 300, "the first is not refreshed");
    }
}

#[test]
fn an_ended_connection_takes_nothing_from_the_next() {
    for (ending, family) in [FIN, RST].into_iter().flat_map(|e| FAMILIES.map(|f| (e, f))) {
        let mut lab = twice();
        ask(&mut lab, &plain(SYN), family, VIPS[family]);
        answered_from(&mut lab, &plain(SYN | ACK), family);
        ask(&mut lab, &plain(ACK), family, VIPS[family]);
        ask(&mut lab, &plain(ending | ACK), family, VIPS[family]);
        if ending == FIN {
            answered_from(&mut lab, &plain(FIN | ACK), family);
            ask(&mut lab, &plain(ACK), family, VIPS[family]);
        }
        let rest = expiry(&lab, VIPS[family]);
        ask(&mut lab, &plain(SYN), family, SECOND[family]);
        assert_eq!(answered_from(&mut lab, &plain(SYN | ACK), family), SECOND[family]);
        ask(&mut lab, &plain(ACK), family, SECOND[family]);
        // The first goes in its own time, however much the second carries.
        lab.wait_ms(rest / 2);
        assert_eq!(answered_from(&mut lab, &plain(ACK), family), SECOND[family]);
        lab.wait_ms(rest / 2 + 1000);
        assert_eq!(expiry(&lab, VIPS[family]), 0);
        assert_eq!(answered_from(&mut lab, &plain(ACK), family), SECOND[family]);
    }
}

#[test]
fn when_the_newer_has_expired_the_older_takes_its_answers_again() {
    for family in FAMILIES {
        let mut lab = twice();
        ask(&mut lab, &plain(SYN), family, VIPS[family]);
        answered_from(&mut lab, &plain(SYN | ACK), family);
        ask(&mut lab, &plain(ACK), family, VIPS[family]);
        ask(&mut lab, &plain(SYN), family, SECOND[family]);
        ask(&mut lab, &plain(RST), family, SECOND[family]);
        let rest = expiry(&lab, SECOND[family]);
        // Its time has come, whether or not its timer has fired.
        lab.now = lab.now + std::time::Duration::from_millis(rest + 1000);
        assert_eq!(answered_from(&mut lab, &plain(ACK), family), VIPS[family]);
    }
}

#[test]
fn a_persistent_connection_that_is_opened_again_is_the_last_one_again() {
    for family in FAMILIES {
        let mut lab = masquerading(SERVER_PORT);
        let persistence = Persistence { timeout_seconds: 100, prefix_length: None };
        add(&mut lab, Protocol::Tcp, family, Some(persistence));
        // A persistent connection is not made anew, but opened again as it stands.
        ask(&mut lab, &plain(SYN), family, SECOND[family]);
        answered_from(&mut lab, &plain(SYN | ACK), family);
        ask(&mut lab, &plain(ACK), family, SECOND[family]);
        ask(&mut lab, &plain(RST), family, SECOND[family]);
        ask(&mut lab, &plain(SYN), family, VIPS[family]);
        ask(&mut lab, &plain(RST), family, VIPS[family]);
        assert_eq!(answered_from(&mut lab, &plain(ACK), family), VIPS[family]);
        ask(&mut lab, &plain(SYN), family, SECOND[family]);
        assert_eq!(answered_from(&mut lab, &plain(SYN | ACK), family), SECOND[family]);
        // A SYN on a connection that goes on opens nothing.
        ask(&mut lab, &plain(SYN), family, VIPS[family]);
        assert_eq!(answered_from(&mut lab, &plain(ACK), family), SECOND[family]);
    }
}

/// An ICMP error by the server, or a router on the way to it, about what the client sent there.
fn error(protocol: u8, family: usize) -> Sent {
    let ip = Ip::new(CLIENT[family], SERVER[family]);
    let transport = match protocol {
        TCP => tcp_segment(client(family).1, SERVER_PORT, ACK, &[]),
        _ => udp_datagram(client(family).1, SERVER_PORT, &[]),
    };
    let quote = ip.packet(protocol, &transport);
    let (icmp, head) = if family == 0 { (1, [3, 3]) } else { (58, [1, 4]) };
    let message = [&head, &[0; 6][..], &quote].concat();
    let mut sent = Sent::new(Ip::new(SERVER[family], CLIENT[family]).frame(icmp, &message));
    let good = sent.reference();
    sent.write(sent.checksum_at(), &good);
    sent.by_server()
}

#[test]
fn errors_from_the_servers_side_belong_to_the_connection_opened_last() {
    for (protocol, family) in [TCP, UDP].into_iter().flat_map(|p| FAMILIES.map(|f| (p, f))) {
        let mut lab = twice();
        for vip in [VIPS[family], SECOND[family]] {
            ask(&mut lab, &shape(protocol, SYN), family, vip);
        }
        let outcome = error(protocol, family).through(&mut lab);
        let told = Sent::new(outcome.frames[0].clone());
        let quoted = &told.octets[told.ip.l4 + 8..];
        let destination = if family == 0 { &quoted[16..20] } else { &quoted[24..40] };
        let second = match address(SECOND[family]) {
            std::net::IpAddr::V4(second) => second.octets().to_vec(),
            std::net::IpAddr::V6(second) => second.octets().to_vec(),
        };
        assert_eq!(destination, second);
    }
}
