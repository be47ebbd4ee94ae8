//! Listings, to the trailing blank.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use ipvsadm::listing::{self, Columns, Layout, Naming, order};
use ipvsadm::names::Names;
use ipvsadm::table::{Connection, Server, Service};
use serde_json::{Value, json};

fn counts(number: u64) -> Value {
    json!({"connections": number, "inPackets": number, "outPackets": 0, "inOctets": number, "outOctets": 5})
}

fn server(address: &str, changes: Value) -> Value {
    let mut server = json!({"address": address, "port": 80, "weight": 1, "forwarding": "direct-routing",
        "tunnel": null, "upperThreshold": 0, "lowerThreshold": 0, "activeConnections": 0,
        "inactiveConnections": 0, "persistentConnections": 0, "traffic": counts(0), "rates": counts(0)});
    merge(&mut server, changes);
    server
}

fn service(key: Value, changes: Value) -> Service {
    let mut service = json!({"scheduler": "wlc", "flags": [], "sloppy": null, "persistence": null,
        "onePacket": false, "servers": [], "traffic": counts(0), "rates": counts(0)});
    merge(&mut service, key);
    merge(&mut service, changes);
    serde_json::from_value(service).expect("a service")
}

fn merge(into: &mut Value, from: Value) {
    let (Value::Object(into), Value::Object(from)) = (into, from) else { return };
    into.extend(from);
}

fn web(address: &str) -> Value {
    json!({"protocol": "tcp", "address": address, "port": 80})
}

fn rows(services: &[Service], columns: Columns, exact: bool) -> String {
    listing::services(services, &Layout { columns, exact, naming: Naming::numeric() })
}

#[test]
fn services_say_what_they_are() {
    let services = [
        service(
            web("10.0.0.1"),
            json!({"scheduler": "sh", "flags": ["sh-port", "sh-fallback"],
            "persistence": {"timeoutSeconds": 360, "prefixLength": 24}}),
        ),
        service(
            json!({"protocol": "udp", "address": "10.0.0.1", "port": 53}),
            json!({"onePacket": true}),
        ),
        service(
            json!({"protocol": "udp", "address": "10.0.0.1", "port": 5060}),
            json!({"onePacket": true, "persistenceEngine": "sip",
            "persistence": {"timeoutSeconds": 60, "prefixLength": 24}}),
        ),
        service(
            web("2001:db8::80"),
            json!({"persistence": {"timeoutSeconds": 300, "prefixLength": 64}}),
        ),
        service(web("10.0.0.2"), json!({"scheduler": "mh", "flags": ["flag-3"]})),
        service(
            web("10.0.0.3"),
            json!({"scheduler": null, "flags": ["flag-3"],
            "persistence": {"timeoutSeconds": 1, "prefixLength": 32}}),
        ),
        service(json!({"mark": 4_294_967_295_u32, "family": "ipv6"}), json!({})),
        service(
            json!({"protocol": "sctp", "address": "10.0.0.0", "prefixLength": 8, "ports": [1, 9]}),
            json!({}),
        ),
    ];
    assert_eq!(
        rows(&services, Columns::Plain, false),
        "TCP  10.0.0.1:80 sh (sh-fallback,sh-port) persistent 360 mask 255.255.255.0\n\
         UDP  10.0.0.1:53 wlc ops\n\
         UDP  10.0.0.1:5060 wlc persistent 60 mask 255.255.255.0 pe sip ops\n\
         TCP  [2001:db8::80]:80 wlc persistent 300 mask 64\n\
         TCP  10.0.0.2:80 mh ()\n\
         TCP  10.0.0.3:80 none (flag-3) persistent 1\n\
         FWM  -1 IPv6 wlc\n\
         SCTP 10.0.0.0/8:1-9 wlc\n"
    );
}

fn busy() -> Service {
    let servers = json!([
        server(
            "192.168.1.30",
            json!({"forwarding": "masquerading", "port": 8080, "weight": 100,
            "activeConnections": 7, "inactiveConnections": 1_234_567_890, "upperThreshold": 1000,
            "lowerThreshold": 750, "persistentConnections": 3, "traffic": counts(100_000_000),
            "rates": counts(1_234_567_890)})
        ),
        server(
            "2001:db8:1:2:3:4:5:6",
            json!({"forwarding": "tunnelling",
            "tunnel": {"type": "gue", "port": 6080, "checksum": "remcsum"}})
        ),
    ]);
    service(web("10.0.0.1"), json!({"servers": servers, "traffic": counts(123_456_789_012_345)}))
}

#[test]
fn columns_are_those_of_ipvsadm() {
    let table = [busy()];
    for (columns, exact, expected) in [
        (
            Columns::Plain,
            false,
            "TCP  10.0.0.1:80 wlc\n  \
            -> 192.168.1.30:8080            Masq    100    7          1234567890\n  \
            -> [2001:db8:1:2:3:4:5:6]:80    Tunnel  1      0          0         \n",
        ),
        (
            Columns::Tunnels,
            false,
            "TCP  10.0.0.1:80 wlc\n  \
            -> 192.168.1.30:8080            Masq    n/a           100    7          1234567890\n  \
            -> [2001:db8:1:2:3:4:5:6]:80    Tunnel  gue:6080:r+c  1      0          0         \n",
        ),
        (
            Columns::Thresholds,
            false,
            "TCP  10.0.0.1:80 wlc\n  \
            -> 192.168.1.30:8080            1000       750        7          1234567890\n  \
            -> [2001:db8:1:2:3:4:5:6]:80    0          0          0          0         \n",
        ),
        (
            Columns::Persistent,
            false,
            "TCP  10.0.0.1:80 wlc\n  \
            -> 192.168.1.30:8080            100       3           7          1234567890\n  \
            -> [2001:db8:1:2:3:4:5:6]:80    1         0           0          0         \n",
        ),
        (
            Columns::Stats,
            false,
            "TCP  10.0.0.1:80                      123T     123T        0     123T        5\n  \
            -> 192.168.1.30:8080             100000K  100000K        0  100000K        5\n  \
            -> [2001:db8:1:2:3:4:5:6]:80           0        0        0        0        5\n",
        ),
        (
            Columns::Stats,
            true,
            "TCP  10.0.0.1:80                  123456789012345 123456789012345        0 123456789012345        5\n  \
            -> 192.168.1.30:8080            100000000 100000000        0 100000000        5\n  \
            -> [2001:db8:1:2:3:4:5:6]:80           0        0        0        0        5\n",
        ),
        (
            Columns::Rate,
            false,
            "TCP  10.0.0.1:80                         0        0        0        0        5\n  \
            -> 192.168.1.30:8080            1234567890 1234567890        0    1234M        5\n  \
            -> [2001:db8:1:2:3:4:5:6]:80           0        0        0        0        5\n",
        ),
    ] {
        assert_eq!(rows(&table, columns, exact), expected, "{columns:?}");
    }
}

#[test]
fn numbers_are_cut_down_where_ipvs_does() {
    for (number, shown) in [
        (99_999_999, " 99999999"),
        (100_000_000, "  100000K"),
        (999_999_999, "  999999K"),
        (1_000_000_000, "    1000M"),
        (99_999_999_999, "   99999M"),
        (100_000_000_000, "     100G"),
        (99_999_999_999_999, "   99999G"),
        (100_000_000_000_000, "     100T"),
        (u64::MAX, "18446744T"),
    ] {
        let text = rows(
            &[service(web("10.0.0.1"), json!({"traffic": counts(number)}))],
            Columns::Stats,
            false,
        );
        assert_eq!(text.get(33..42), Some(shown), "{number}");
    }
}

#[test]
fn rules_restore_what_was_saved() {
    let table = [busy()];
    let rules = listing::save(&table, &Naming::numeric(), false);
    assert_eq!(
        rules,
        "-A -t 10.0.0.1:80 -s wlc\n\
         -a -t 10.0.0.1:80 -r 192.168.1.30:8080 -m -w 100\n\
         -a -t 10.0.0.1:80 -r [2001:db8:1:2:3:4:5:6]:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum\n"
    );
    let full = listing::save(&table, &Naming::numeric(), true);
    let last = full.lines().last();
    assert_eq!(last, Some("-a -t 10.0.0.1:80 -r 192.168.1.30:8080 -m -w 100 -x 1000 -y 750"));
}

#[test]
fn the_order_follows_signed_differences() {
    let mut services: Vec<Service> = ["127.0.0.1", "10.0.0.1", "192.168.0.1", "172.16.0.1"]
        .into_iter()
        .map(|address| service(web(address), json!({})))
        .collect();
    order::sort(&mut services);
    let first_words: Vec<String> = rows(&services, Columns::Plain, false)
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1).map(str::to_owned))
        .collect();
    assert_eq!(first_words, ["172.16.0.1:80", "192.168.0.1:80", "10.0.0.1:80", "127.0.0.1:80"]);
}

#[test]
fn any_order_of_any_addresses_sorts_without_a_panic() {
    // The relation is not transitive: the standard library's sort may refuse it.
    let mut services: Vec<Service> = (0..1000_u32)
        .map(|number| std::net::Ipv4Addr::from(number.wrapping_mul(0x9e37_79b1)).to_string())
        .map(|address| service(web(&address), json!({})))
        .collect();
    order::sort(&mut services);
    assert_eq!(services.len(), 1000);
    let servers: Vec<&Server> = services.iter().flat_map(|service| &service.servers).collect();
    assert!(servers.is_empty());
}

#[test]
fn connections_stand_in_their_columns() {
    let row = |protocol: Value,
               client: &str,
               virtual_address: &str,
               state: &str,
               left: u64|
     -> Connection {
        serde_json::from_value(
            json!({"protocol": protocol, "client": client, "virtualAddress": virtual_address,
            "server": "192.168.1.20:80", "state": state, "expiresInMs": left, "template": false,
            "forwarding": "direct-routing", "inPackets": 1}),
        )
        .expect("a connection")
    };
    let mut rows = [
        row(json!("tcp"), "192.168.1.100:54321", "10.0.0.1:80", "ESTABLISHED", 899_999),
        row(Value::Null, "192.168.1.0:0", "0.0.0.7:0", "NONE", 35_999_000),
        row(json!("tcp"), "[2001:db8::1]:50000", "[2001:db8::80]:80", "SYN_RECV", 0),
    ];
    assert_eq!(
        listing::connections(&rows, &Naming::numeric(), true),
        "TCP 14:59  ESTABLISHED 192.168.1.100:54321 10.0.0.1:80        192.168.1.20:80\n\
         IP  599:59 NONE        192.168.1.0:0      0.0.0.7:0          192.168.1.20:80\n\
         TCP 00:00  SYN_RECV    [2001:db8::1]:50000 [2001:db8::80]:80  192.168.1.20:80\n"
    );
    rows[1].persistence_engine = Some(engine::command::PersistenceEngine::Sip);
    rows[1].persistence_data = Some("1@a.example".to_owned());
    let shown = |persistent| listing::connections(&rows[1..2], &Naming::numeric(), persistent);
    let line = "IP  599:59 NONE        192.168.1.0:0      0.0.0.7:0          192.168.1.20:80";
    assert_eq!(shown(false), format!("{line}\n"));
    assert_eq!(shown(true), format!("{line}  sip                1@a.example\n"));
    assert!(
        listing::connections_title(true).ends_with("destination        pe name          pe_data\n")
    );
}

#[test]
fn names_come_from_the_resolver_and_the_services_file() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let resolve = |address: IpAddr| {
        ASKED.fetch_add(1, Ordering::Relaxed);
        match address.to_string().as_str() {
            "127.0.0.1" => Some("localhost".to_owned()),
            "192.0.2.1" => Some("a-name-that-is-longer-than-the-column".to_owned()),
            _ => None,
        }
    };
    let services =
        "# ports\nhttp 80/tcp www # and this\ndomain 53/udp\nbad line\nworse x/tcp\nword\n";
    let names = Names::new(resolve, services);
    let naming = Naming::named(names);
    let ip = |text: &str| text.parse().expect("an address");
    assert_eq!(naming.endpoint(ip("127.0.0.1"), 80, 6), "localhost:http");
    assert_eq!(naming.endpoint(ip("127.0.0.1"), 80, 17), "localhost:80");
    assert_eq!(naming.endpoint(ip("2001:db8::1"), 53, 17), "[2001:db8::1]:domain");
    assert_eq!(naming.endpoint(ip("2001:db8::1"), 54, 17), "[2001:db8::1]:54");
    assert_eq!(ASKED.load(Ordering::Relaxed), 2, "each address is asked for once");
    let layout = Layout { columns: Columns::Plain, exact: false, naming };
    let servers = json!([server("192.0.2.1", json!({}))]);
    assert_eq!(
        listing::services(&[service(web("192.0.2.1"), json!({"servers": servers}))], &layout),
        "TCP  a-name-that-is-longer-than-t wlc\n  \
         -> a-name-that-is-longer-than-t Route   1      0          0         \n"
    );
}
