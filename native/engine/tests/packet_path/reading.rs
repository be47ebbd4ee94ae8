//! Explanations and listings.

use engine::Limits;
use engine::command::Protocol;
use engine::snapshot::{ConnectionFilter, Flow};

use crate::lab::frames::{SYN, tcp};
use crate::lab::{Lab, PORT, VIP, address, cluster_service, key, server, set_weight};

const CLIENT: &str = "203.0.113.9";

#[test]
fn an_explanation_says_what_happens_then() {
    let mut lab = Lab::with_limits(
        Limits { connections: 1024, events: 4, ..Limits::default() },
        &cluster_service(),
    );
    lab.apply(&[set_weight(key(Protocol::Tcp, VIP), "10.0.0.12", 0)]);
    let mut moved = 0;
    for port in 7000..7200 {
        let flow = Flow {
            protocol: Protocol::Tcp,
            client_address: address(CLIENT),
            client_port: port,
            virtual_address: address(VIP),
            virtual_port: PORT,
            interface: None,
            vlan: None,
        };
        let before = lab.engine.explain(&flow, lab.now);
        assert!(before.connection.is_none());
        let schedule = before.schedule.unwrap();
        moved += u32::from(schedule.moved_by_fallback);
        let went = server(&lab.process(&tcp(CLIENT, port, VIP, SYN)));
        assert_eq!(before.server.unwrap().id, went);
        let after = lab.engine.explain(&flow, lab.now);
        assert_eq!(after.server.unwrap().id, went);
        assert_eq!(after.connection.unwrap().state, "SYN_RECV");
    }
    assert!(moved > 20, "{moved}");
}

#[test]
fn connections_are_listed_in_pages() {
    let mut lab = Lab::with_limits(
        Limits { connections: 64, events: 4, ..Limits::default() },
        &cluster_service(),
    );
    for port in 8000..8010 {
        server(&lab.process(&tcp(CLIENT, port, VIP, SYN)));
    }
    let all = ConnectionFilter::default();
    let first = lab.engine.connections(&all, 0, 6, lab.now);
    let rest = lab.engine.connections(&all, first.next.unwrap(), 6, lab.now);
    let mut ports: Vec<_> =
        first.rows.iter().chain(&rest.rows).map(|row| row.client.port()).collect();
    ports.sort_unstable();
    assert_eq!(ports, (8000..8010).collect::<Vec<_>>());
    assert_eq!(rest.next, None);
    let none = ConnectionFilter { state: Some("ESTABLISHED".into()), ..all };
    assert!(lab.engine.connections(&none, 0, 6, lab.now).rows.is_empty());
}
