//! What is left to the host, and what is dropped.

use engine::command::{Command, Protocol};
use engine::verdict::{DropReason, PassReason, Verdict};

use crate::lab::frames::{ACK, Ip, SYN, tcp, udp};
use crate::lab::{Lab, VIP, cluster_service, key, one_server, server};

const CLIENT: &str = "203.0.113.9";

#[test]
fn what_is_not_ours_passes() {
    let mut lab = Lab::new(&cluster_service());
    let mut multicast = tcp(CLIENT, 40000, VIP, SYN);
    multicast[0] = 1;
    let mut unknown_type = tcp(CLIENT, 40000, VIP, SYN);
    unknown_type[12..14].copy_from_slice(&[0x88, 0xcc]);
    let mut later_fragment = Ip::new(CLIENT, "198.51.100.2");
    later_fragment.flags = 0x0010;
    for (frame, reason) in [
        (tcp(CLIENT, 40000, "198.51.100.2", SYN), PassReason::NoService),
        (udp(CLIENT, 40000, VIP, b""), PassReason::NoService),
        (Ip::new(CLIENT, VIP).frame(47, &[0; 8]), PassReason::Protocol),
        (Ip::new(CLIENT, VIP).frame(1, &[8, 0, 0, 0, 0, 0, 0, 0]), PassReason::Icmp),
        (tcp(CLIENT, 20, VIP, SYN), PassReason::FtpData),
        (later_fragment.frame(6, &[0; 32]), PassReason::Fragment),
        (multicast, PassReason::OtherHost),
        (unknown_type, PassReason::NotIp),
    ] {
        assert_eq!(lab.process(&frame).verdict, Verdict::Pass(reason));
    }
}

#[test]
fn what_is_malformed_is_dropped_by_name() {
    let mut lab = Lab::new(&cluster_service());
    let good = tcp(CLIENT, 40000, VIP, SYN);
    let changed = |at: usize, value: u8| {
        let mut frame = good.clone();
        frame[at] = value;
        frame
    };
    for (frame, reason) in [
        (good[..20].to_vec(), DropReason::Truncated),
        (Vec::new(), DropReason::Truncated),
        (changed(14, 0x44), DropReason::BadHeader),
        (changed(22, 9), DropReason::BadChecksum),
        (tcp("224.0.0.1", 40000, VIP, SYN), DropReason::BadSource),
        (Ip::new(CLIENT, VIP).frame(6, &[0; 4]), DropReason::TruncatedTransport),
    ] {
        assert_eq!(lab.process(&frame).verdict, Verdict::Drop(reason));
    }
    let dropped = lab.engine.statistics().dropped;
    assert_eq!(dropped.iter().map(|counter| counter.count.0).sum::<u64>(), 6);
}

#[test]
fn without_a_service_in_its_family_every_packet_passes() {
    let mut lab = Lab::new(&one_server(Protocol::Tcp, VIP, "10.0.0.11"));
    server(&lab.process(&tcp(CLIENT, 40000, VIP, SYN)));
    lab.apply(&[Command::RemoveService { service: key(Protocol::Tcp, VIP) }]);
    let verdict = lab.process(&tcp(CLIENT, 40000, VIP, ACK)).verdict;
    assert_eq!(verdict, Verdict::Pass(PassReason::NoService));
    lab.apply(&one_server(Protocol::Udp, VIP, "10.0.0.12"));
    let verdict = lab.process(&tcp(CLIENT, 40000, VIP, ACK)).verdict;
    assert_eq!(verdict, Verdict::Drop(DropReason::ServerRemoved));
}
