//! Known and unknown connections under overload, by the sockets of one interface.

use std::net::{Ipv4Addr, Ipv6Addr};

use afpacket::classifier::{Classifier, ServiceMatch, SocketAudience};
use afpacket::{Admission, Admitted, PacketSocket};

use crate::capture::{before, send, small};
use crate::fast_host::with_fast_path;
use crate::frames::{self, UDP, udp_frame};

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const STRANGER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const VIRTUAL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
const CLIENT6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
const STRANGER6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);
const VIRTUAL6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x80);

#[test]
fn under_overload_known_and_unknown_connections_come_by_sockets_of_their_own() {
    with_fast_path("known_and_unknown", |mut host, _path| {
        let (lab, macs, index) = (host.lab, host.macs, host.near);
        let services = Classifier::new([
            ServiceMatch::service(UDP, VIRTUAL.into(), 53),
            ServiceMatch::service(UDP, VIRTUAL6.into(), 53),
        ]);
        let admission = Admission::open(1000).unwrap();
        let open = |admitted| {
            let mut socket = lab.here.run(|| PacketSocket::open(index, &small()).unwrap());
            let admission = Some((&admission, admitted));
            let audience = SocketAudience::default();
            socket.set_classifier_and_programs(&services, &audience, None, admission).unwrap();
            socket
        };
        let (mut known, mut unknown) = (open(Admitted::Known), open(Admitted::Unknown));
        admission.learn(CLIENT.into(), 9);
        admission.learn(CLIENT.into(), 10);
        admission.learn(CLIENT6.into(), 9);
        let over_ipv6 = |client, port| {
            let packet = frames::udp_over_ipv6((client, port), (VIRTUAL6, 53), &[], UDP);
            frames::ethernet(macs.0, macs.1, &packet)
        };
        let from = |client, port| udp_frame(macs, (client, port), (VIRTUAL, 53));
        let others = [udp_frame(macs, (CLIENT, 9), (VIRTUAL, 54))];
        let of_known = [from(CLIENT, 9), over_ipv6(CLIENT6, 9)];
        let of_client = [from(CLIENT, 8), over_ipv6(CLIENT6, 8)];
        let of_unknown = [from(STRANGER, 9), over_ipv6(STRANGER6, 9)];
        let last = [from(CLIENT, 10), from(STRANGER, 1)];
        let all = [&others[..], &of_unknown, &of_client, &of_known, &last].concat();

        // Without overload everything comes by the first.
        send(&mut host.client, &all);
        let expected = [&of_unknown[..], &of_client, &of_known, &last[..1]].concat();
        assert_eq!(before(&mut known, &last[1]), expected);
        assert_eq!(unknown.statistics().unwrap().frames, 0);

        admission.set_overload(true);
        admission.allow(1);
        send(&mut host.client, &all);
        assert_eq!(before(&mut unknown, &last[1]), of_unknown);
        assert_eq!(before(&mut known, &last[0]), [&of_client[..1], &of_known].concat());
        assert_eq!(admission.refused(), 1);
        admission.set_overload(false);
    });
}
