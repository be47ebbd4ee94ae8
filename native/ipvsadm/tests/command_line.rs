//! The command line: what is accepted, and what is said about the rest.

use ipvsadm::command_line::endpoint::{inet_aton, leading_number, number};
use ipvsadm::command_line::{Failure, Invocation, Opt, Verb, Wish, read};
use ipvsadm::request;
use proptest::prelude::*;
use serde_json::json;

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn wish(line: &str) -> Result<Wish, Failure> {
    read("ipvsadm", &words(line))
}

#[track_caller]
fn accepted(line: &str) -> Invocation {
    match wish(line) {
        Ok(Wish::Command(wanted)) => *wanted,
        other => panic!("{line}: {other:?}"),
    }
}

#[track_caller]
fn refused(line: &str, status: u8, message: &str) {
    let failure = wish(line).expect_err(line);
    assert_eq!((failure.status, failure.message.as_str()), (status, &*format!("{message}\n")));
}

#[track_caller]
fn command(line: &str) -> serde_json::Value {
    let command = request::command(&accepted(line)).expect(line).expect(line);
    request::to_json(&command)
}

#[test]
fn options_are_read_as_popt_reads_them() {
    for line in [
        "-a -t 192.0.2.1:80 -r 10.0.0.1 -w3 -m",
        "-a -t192.0.2.1:80 -r10.0.0.1 -w=3 -m",
        "-a --tcp-service=192.0.2.1:80 --real-server 10.0.0.1 --weight=3 --masquerading",
        "-at 192.0.2.1:80 -mr 10.0.0.1 -w +3",
    ] {
        let wanted = accepted(line);
        assert_eq!((wanted.verb, wanted.server.weight), (Verb::AddServer, 3), "{line}");
        assert_eq!(wanted.server.port, 80, "{line}");
    }
    let listing = accepted("-Lnc --sort --sort");
    assert!(listing.given.has(Opt::Numeric) && listing.given.has(Opt::Connection));
}

#[test]
fn what_popt_complains_about_has_its_own_status() {
    refused("-A -t", 255, "-t: missing argument");
    refused("-L --numbers", 255, "--numbers: unknown option");
    refused("-Lq", 255, "-Lq: unknown option");
    refused("-L --numeric=1", 255, "--numeric=1: option does not take an argument");
    refused("-A -t 192.0.2.1:80 -p -5", 255, "-5: unknown option");
    for line in ["", "-t 192.0.2.1:80", "--nonsense", "word", "--start-daemon"] {
        let try_help = "Try `ipvsadm -h' or 'ipvsadm --help' for more information.";
        refused(line, 255, try_help);
    }
}

#[test]
fn a_lone_dash_and_words_behind_two_dashes_are_no_options() {
    refused("-L -", 2, "unexpected argument -");
    refused("-L -- -n", 2, "unexpected argument -n");
    refused("first -L second", 2, "unexpected argument first");
}

#[test]
fn options_that_do_not_go_together_are_told() {
    let add = "-A -t 192.0.2.1:80";
    refused(
        "-A",
        2,
        "You need to supply the 'service-address' option for the 'add-service' command",
    );
    refused(&format!("{add} -C"), 2, "invalid option `-C'");
    refused(&format!("{add} -s rr -s rr"), 2, "multiple 'scheduler' options specified");
    refused(&format!("{add} -w 1"), 2, "Illegal 'weight' option with the 'add-service' command");
    refused("-L --json --full", 2, "Illegal 'full' option with the 'list' command");
    refused("-L -c --rate", 2, "options conflicts in the list command");
    refused("-L --timeout --persistent-conn", 2, "options conflicts in the list command");
    let two =
        "The option 'tun-csum' conflicts with the 'tun-nocsum' option in the 'add-server' command";
    refused("-a -t 192.0.2.1:80 -r 10.0.0.1 -i --tun-csum --tun-nocsum", 2, two);
}

#[test]
fn what_stands_before_matters() {
    // A flag belongs to the scheduler that was named before it.
    refused("-A -t 192.0.2.1:80 -b sh-port -s sh", 2, "incompatible scheduler flag `sh-port'");
    // -6 makes a mark one of IPv6, and forgets a netmask.
    refused("-A -6 -f 1", 2, "-6 used before -f\n");
    let masked = command("-A -f 1 -p -M 255.255.0.0 -6");
    assert_eq!(masked["service"]["persistence"], json!({"timeoutSeconds": 360}));
    // The server's port is that of a service before it.
    assert_eq!(accepted("-d -r 10.0.0.1 -t 192.0.2.1:80").server.port, 0);
}

#[test]
fn commands_say_all_that_was_given() {
    let service =
        command("-A -t 192.0.2.1:80 -s sh -b flag-1,sh-port,flag-3 -p 60 -M 255.255.255.0");
    assert_eq!(
        service,
        json!({"type": "add-service", "service": {
            "protocol": "tcp", "address": "192.0.2.1", "port": 80, "scheduler": "sh",
            "flags": ["sh-fallback", "sh-port", "flag-3"], "onePacket": false,
            "persistence": {"timeoutSeconds": 60, "prefixLength": 24}}})
    );
    let server =
        command("-e -f 7 -6 -r [2001:db8::1]:80 -i -w 0 -x 9 -y 8 --tun-type gue --tun-port 6080");
    assert_eq!(
        server,
        json!({"type": "edit-server", "service": {"mark": 7, "family": "ipv6"}, "server": {
            "address": "2001:db8::1", "port": 80, "weight": 0, "forwarding": "tunnelling",
            "tunnel": {"type": "gue", "port": 6080, "checksum": "nocsum"},
            "upperThreshold": 9, "lowerThreshold": 8}})
    );
    let timeouts = command("--set 0 50 0");
    assert_eq!(timeouts, json!({"type": "settings", "settings": {"tcpFinTimeoutSeconds": 50}}));
    let engine = |line| command(line)["service"].get("persistenceEngine").cloned();
    assert_eq!(engine("-A -u 192.0.2.1:80 -p --pe sip"), Some(json!("sip")));
    assert_eq!(engine("-A -u 192.0.2.1:80 --pe sip -o"), Some(json!("sip")));
    assert_eq!(engine("-A -u 192.0.2.1:80 --pe= -p"), None);
    assert_eq!(command("-A -t 192.0.2.1:80 -s none")["service"].get("scheduler"), None);
}

#[test]
fn names_and_netmasks_that_a_director_lacks_are_told_apart() {
    use ipvsadm::request::Unsupported::{Name, Netmask};
    for (line, unsupported) in [
        ("-A -t 192.0.2.1:80 -s nonsense", Name),
        ("-A -t 192.0.2.1:80 -s RR", Name),
        ("-A -u 192.0.2.1:80 --pe SIP -p", Name),
        ("-E -u 192.0.2.1:80 --pe nosuch", Name),
        ("-A -t 192.0.2.1:80 -p -M 255.0.255.0", Netmask),
        ("-A -t 192.0.2.1:80 -p -M 24", Netmask),
    ] {
        assert_eq!(request::command(&accepted(line)), Err(unsupported), "{line}");
    }
    // All clients are one.
    let all = |line| command(line)["service"]["persistence"]["prefixLength"].clone();
    assert_eq!(all("-A -t 192.0.2.1:80 -p -M 0.0.0.0"), json!(0));
    assert_eq!(all("-A -t [2001:db8::1]:80 -p -M ::"), json!(0));
    refused("-A -t [2001:db8::1]:80 -p -M 0", 2, "illegal ipv6 netmask specified");
    // Without persistence nobody asks for the netmask.
    assert!(request::command(&accepted("-A -t 192.0.2.1:80 -M 24")).is_ok());
}

#[test]
fn options_of_the_sync_daemon_are_judged_though_there_is_none() {
    for (option, message) in [
        ("--syncid 256", "illegal syncid specified"),
        ("--mcast-ttl 0", "illegal mcast-ttl specified"),
        ("--mcast-port 65536", "illegal mcast-port specified"),
        ("--mcast-group 10.0.0.1", "illegal mcast-group specified"),
        ("--sync-maxlen 0", "illegal sync-maxlen specified"),
        ("-n", "Illegal 'numeric' option with the 'start-daemon' command"),
    ] {
        refused(&format!("--start-daemon master {option}"), 2, message);
    }
    refused("--start-daemon both", 2, "illegal start-daemon parameter specified");
    let wanted =
        accepted("--start-daemon backup --mcast-group ff02::1 --syncid 0 --mcast-interface d0");
    assert_eq!(wanted.verb, Verb::StartDaemon);
}

#[test]
fn numbers_and_addresses_are_those_of_c() {
    for (text, address) in [
        ("192.0.2.1", Some([192, 0, 2, 1])),
        ("1.2.3", Some([1, 2, 0, 3])),
        ("1.65535", Some([1, 0, 255, 255])),
        ("0x7f000001", Some([127, 0, 0, 1])),
        ("010.0.0.1", Some([8, 0, 0, 1])),
        ("1.2.3.4 and more", Some([1, 2, 3, 4])),
        ("1.2.3.256", None),
        ("256.1", None),
        ("1.16777216", None),
        ("1.2.3.4.5", None),
        ("1..2", None),
        ("08.0.0.1", None),
        ("", None),
        ("0x", None),
    ] {
        assert_eq!(inet_aton(text).map(|address| address.octets()), address, "{text}");
    }
    let numbers =
        [("12", Some(12)), (" +7", Some(7)), ("-1", None), ("1x", None), ("", None), ("21", None)];
    for (text, value) in numbers {
        assert_eq!(number(text, 0, 20), value, "{text}");
    }
    assert_eq!(["64", "255.255.0.0", "-3x", "x", ""].map(leading_number), [64, 255, -3, 0, 0]);
}

#[test]
fn restored_lines_mean_what_saved_ones_meant() {
    assert_eq!(accepted("-a -t 192.0.2.1:80 -r 10.0.0.1:81 -g").server.port, 80);
    assert_eq!(accepted("-a -t 192.0.2.1:80 -r 10.0.0.1:81 -m").server.port, 81);
    assert_eq!(accepted("-a -f 9 -r 10.0.0.1:81 -g").server.port, 81);
}

const VOCABULARY: &[&str] = &[
    "-A",
    "-E",
    "-D",
    "-a",
    "-e",
    "-d",
    "-L",
    "-Ln",
    "-S",
    "-Z",
    "-C",
    "-R",
    "--set",
    "-t",
    "-u",
    "-f",
    "-6",
    "--sctp-service",
    "-r",
    "-s",
    "-p",
    "-M",
    "-b",
    "-w",
    "-x",
    "-y",
    "-g",
    "-i",
    "-m",
    "-o",
    "--pe",
    "--tun-type",
    "--tun-port",
    "--tun-csum",
    "--start-daemon",
    "--syncid",
    "--watch",
    "--json",
    "--full",
    "192.0.2.1:80",
    "[2001:db8::1]:80",
    "10.0.0.1",
    "[",
    "]:",
    "1",
    "0",
    "-1",
    "sh",
    "sh-port",
    "gue",
    "255.255.255.0",
    "master",
    "--",
    "-",
    "=",
    "--weight=",
    "-w=",
    "4294967296",
    "\u{fffd}",
];

proptest! {
    #[test]
    fn no_words_panic(words in prop::collection::vec(prop_oneof![
        4 => prop::sample::select(VOCABULARY).prop_map(str::to_owned),
        // Letters and digits alone would be looked up as the names of hosts.
        1 => "[-=:\\[\\],.0-9é ]{0,12}",
    ], 0..10)) {
        if let Ok(Wish::Command(wanted)) = read("ipvsadm", &words)
            && let Ok(Some(command)) = request::command(&wanted)
        {
            prop_assert!(request::to_json(&command).get("type").is_some());
        }
    }

    #[test]
    fn no_number_panics(text in "\\PC{0,20}") {
        let _ = (number(&text, i64::MIN, i64::MAX), leading_number(&text), inet_aton(&text));
    }

    #[test]
    fn every_address_is_read_back(bits: u32) {
        let address = std::net::Ipv4Addr::from(bits);
        prop_assert_eq!(inet_aton(&address.to_string()), Some(address));
    }
}
