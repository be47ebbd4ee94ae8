//! New connections on the fast path: whoever forwards a packet, the engine knows the same in the end.

use engine::command::{Command, Protocol, SchedulerName, SettingsPatch};
use engine::connection::ConnectionKey;
use engine::snapshot::{ConnectionFilter, ConnectionRow, FastPathSnapshot, Statistics};
use engine::{FastCounts, FastFlow, FastPathChange, Limits};
use proptest::prelude::*;

use crate::lab::frames::{ACK, FIN, RST, SYN, tcp};
use crate::lab::{
    Lab, PORT, VIP, address, cluster_service, key, least_connections, service, set_weight,
    settings, sloppy_tcp,
};

const CLIENT: &str = "203.0.113.9";

fn connection(client_port: u16) -> ConnectionKey {
    ConnectionKey {
        protocol: 6,
        client: address(CLIENT),
        client_port,
        virtual_address: address(VIP),
        virtual_port: PORT,
    }
}

/// A director with a fast path that takes whatever is offered, at once.
struct Fast {
    lab: Lab,
    flows: Vec<FastFlow>,
    /// Packets that did not come to the engine.
    spared: u64,
}

impl Fast {
    fn new(commands: &[Command], flows: u32) -> Self {
        let mut lab = Lab::new(commands);
        lab.engine.use_fast_path(flows);
        Self { lab, flows: Vec::new(), spared: 0 }
    }

    fn send(&mut self, client_port: u16, flags: u8) {
        let frame = tcp(CLIENT, client_port, VIP, flags);
        let key = connection(client_port);
        let flow = self.flows.iter().find(|flow| flow.key == key);
        let plain = flags & (SYN | RST | ACK) == ACK;
        if let Some(flow) = flow.filter(|flow| plain && (flow.ends || flags & FIN == 0)) {
            let mut carried = self.lab.carried.borrow_mut();
            let counts = carried.get_mut(&flow.key).unwrap();
            counts.packets += 1;
            counts.octets += frame.len() as u64 - 14;
            counts.data += u64::from(flags & FIN == 0 && counts.fin == 0);
            counts.fin += u64::from(flags & FIN != 0);
            self.spared += 1;
            return;
        }
        self.lab.process(&frame);
        // What the engine took back.
        self.flows.retain(|flow| self.lab.carried.borrow().contains_key(&flow.key));
        self.follow();
    }

    fn follow(&mut self) {
        while let Some(change) = self.lab.engine.poll_fast_path() {
            match change {
                FastPathChange::Offer(flow) => {
                    if self.lab.engine.take_fast(&flow, self.lab.now) {
                        self.flows.push(flow);
                        self.lab.carried.borrow_mut().insert(flow.key, FastCounts::default());
                    }
                }
                FastPathChange::Return(key) => self.give_back(&key),
            }
        }
    }

    fn give_back(&mut self, key: &ConnectionKey) {
        let Some(counts) = self.lab.carried.borrow_mut().remove(key) else { return };
        let place = self.flows.iter().position(|flow| flow.key == *key).unwrap();
        let flow = self.flows.remove(place);
        self.lab.engine.account(&flow, &counts, self.lab.now);
        self.lab.engine.drop_fast(key, self.lab.now);
    }

    /// Tells the engine of all that was carried.
    fn read(&mut self) {
        self.flows.retain(|flow| {
            let Some(counts) = self.lab.carried.borrow_mut().remove(&flow.key) else {
                return false;
            };
            let stays = self.lab.engine.account(flow, &counts, self.lab.now);
            if stays {
                self.lab.carried.borrow_mut().insert(flow.key, FastCounts::default());
            } else {
                self.lab.engine.drop_fast(&flow.key, self.lab.now);
            }
            stays
        });
    }

    fn wait(&mut self, milliseconds: u64) {
        self.read();
        self.lab.wait_ms(milliseconds);
        self.follow();
        // What ended is taken off.
        self.lab.wait_ms(0);
    }
}

fn rows(lab: &Lab) -> Vec<ConnectionRow> {
    let mut rows = lab.engine.connections(&ConnectionFilter::default(), 0, 1024, lab.now).rows;
    rows.sort_by_key(|row| row.client);
    rows
}

/// What the statistics say but for the fast path itself.
fn without_fast_path(lab: &Lab) -> String {
    let fast_path = FastPathSnapshot::default();
    format!("{:#?}", Statistics { fast_path, ..lab.engine.statistics() })
}

fn active(lab: &Lab) -> Vec<(u32, u32)> {
    let statistics = lab.engine.statistics();
    let servers = statistics.services.iter().flat_map(|service| &service.servers);
    servers.map(|server| (server.active_connections, server.inactive_connections)).collect()
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Segment(u16, u8),
    Wait(u64),
    Read,
    Weight(u32),
    Reuse(u8),
    Secure(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let ordinary = [SYN, ACK, ACK, ACK, ACK, FIN | ACK];
    let any = [0, SYN, RST, FIN, RST | ACK, SYN | ACK, SYN | FIN, FIN | RST | ACK, 8, 8 | ACK];
    let flags = prop_oneof![
        4 => proptest::sample::select(ordinary.to_vec()),
        1 => proptest::sample::select(any.to_vec()),
    ];
    let port = 20_000..20_006_u16;
    prop_oneof![
        40 => (port, flags).prop_map(|(port, flags)| Step::Segment(port, flags)),
        2 => prop_oneof![0..100_u64, 0..3_000_u64, 0..200_000_u64].prop_map(Step::Wait),
        2 => Just(Step::Read),
        1 => (0..3_u32).prop_map(Step::Weight),
        1 => (0..4_u8).prop_map(Step::Reuse),
        1 => (0..4_u8).prop_map(Step::Secure),
    ]
}

fn apply(lab: &mut Lab, step: Step) {
    match step {
        Step::Weight(weight) => {
            lab.apply(&[set_weight(key(Protocol::Tcp, VIP), "10.0.0.12", weight)]);
        }
        Step::Reuse(mode) => {
            let patch = SettingsPatch { conn_reuse_mode: Some(mode), ..SettingsPatch::default() };
            lab.apply(&[settings(patch)]);
        }
        Step::Secure(mode) => {
            let patch = SettingsPatch { secure_tcp: Some(mode), ..SettingsPatch::default() };
            lab.apply(&[settings(patch)]);
        }
        Step::Segment(..) | Step::Wait(_) | Step::Read => {}
    }
}

/// Runs the same steps with and without a fast path. What is true at every step is asserted by
/// `at_each`; in the end, and whenever the fast path was read, both know the same.
fn compare(commands: &[Command], flows: u32, steps: &[Step], at_each: impl Fn(&Lab, &Lab)) -> u64 {
    let mut fast = Fast::new(commands, flows);
    let mut slow = Lab::new(commands);
    for step in steps.iter().copied().chain([Step::Read]) {
        let is_read = matches!(step, Step::Wait(_) | Step::Read);
        match step {
            Step::Segment(port, flags) => {
                fast.send(port, flags);
                slow.process(&tcp(CLIENT, port, VIP, flags));
            }
            Step::Wait(milliseconds) => {
                fast.wait(milliseconds);
                slow.wait_ms(milliseconds);
            }
            Step::Read => fast.read(),
            Step::Weight(_) | Step::Reuse(_) => {
                apply(&mut fast.lab, step);
                apply(&mut slow, step);
            }
            // Changes what follows from a segment, so all have to be known.
            Step::Secure(_) => {
                fast.read();
                apply(&mut fast.lab, step);
                apply(&mut slow, step);
            }
        }
        at_each(&fast.lab, &slow);
        if is_read {
            assert_eq!(rows(&fast.lab), rows(&slow), "{step:?}");
            let (with, without) = (without_fast_path(&fast.lab), without_fast_path(&slow));
            assert_eq!(with, without, "{step:?}");
        }
    }
    assert_eq!(fast.lab.engine.statistics().fast_path.unknown.0, 0);
    assert_eq!(fast.lab.engine.statistics().fast_path.packets.0, fast.spared);
    fast.spared
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 1..150)
}

fn hashed() -> Vec<Command> {
    [cluster_service(), vec![sloppy_tcp()]].concat()
}

fn round_robin() -> Vec<Command> {
    let mut commands = cluster_service();
    let service = service(key(Protocol::Tcp, VIP), SchedulerName::Rr, &[]);
    commands[0] = Command::AddService { service };
    commands
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn with_source_hashing_the_engine_knows_the_same(steps in steps(), flows in 1..16_u32) {
        compare(&hashed(), flows, &steps, |_, _| {});
    }

    #[test]
    fn with_round_robin_the_engine_knows_the_same(steps in steps(), flows in 1..16_u32) {
        compare(&round_robin(), flows, &steps, |_, _| {});
    }

    #[test]
    fn where_active_connections_are_compared_they_are_known_at_every_step(
        steps in steps(),
        flows in 1..16_u32,
    ) {
        compare(&least_connections(), flows, &steps, |fast, slow| {
            assert_eq!(active(fast), active(slow));
        });
    }
}

/// A connection of one request, and another with the same ports.
#[test]
fn but_for_its_syn_a_connection_goes_by_the_fast_path() {
    let steps: Vec<_> = [SYN, ACK, ACK | 8, ACK, FIN | ACK, ACK]
        .map(|flags| Step::Segment(20_000, flags))
        .into_iter()
        .cycle()
        .take(12)
        .collect();
    assert_eq!(compare(&hashed(), 4, &steps, |_, _| {}), 10);
    assert_eq!(compare(&least_connections(), 4, &steps, |_, _| {}), 0);
}

/// The caller has to know: many of the new are never heard of again.
#[test]
fn new_connections_are_told_from_lively_ones() {
    let mut fast = Fast::new(&hashed(), 8);
    for port in 20_000..20_010 {
        fast.send(port, SYN);
    }
    assert_eq!(fast.flows.len(), 8);
    assert!(fast.flows.iter().all(|flow| flow.opening));
    fast.give_back(&connection(20_001));
    for _ in 0..9 {
        fast.send(20_001, ACK);
    }
    let lively = fast.flows.iter().find(|flow| flow.key == connection(20_001));
    assert!(!lively.unwrap().opening);
}

#[test]
fn what_is_never_settled_is_not_offered() {
    let limits = Limits { connections: 64, ..Limits::default() };
    let mut lab = Lab::with_limits(limits, &hashed());
    lab.engine.use_fast_path(16);
    for flags in [SYN | RST, FIN | ACK, RST, 0] {
        lab.process(&tcp(CLIENT, 20_000, VIP, flags));
        assert_eq!(lab.engine.poll_fast_path(), None, "flags {flags:#x}");
    }
    lab.process(&tcp(CLIENT, 20_001, VIP, SYN));
    let Some(FastPathChange::Offer(flow)) = lab.engine.poll_fast_path() else {
        panic!("a new connection is offered")
    };
    assert!(flow.ends);
    lab.process(&tcp(CLIENT, 20_001, VIP, FIN | ACK));
    assert!(!lab.engine.take_fast(&flow, lab.now), "it is over by now");
}

/// All of them find their places at once, and lose them with the connections.
#[test]
fn connections_that_expire_on_it_are_returned() {
    let mut fast = Fast::new(&hashed(), 8);
    for port in 20_000..20_003 {
        fast.send(port, SYN);
    }
    assert_eq!(fast.lab.engine.statistics().fast_path.connections, 3);
    fast.lab.wait_ms(61_000);
    assert_eq!(rows(&fast.lab).len(), 3, "perhaps something was carried");
    let changes: Vec<_> = std::iter::from_fn(|| fast.lab.engine.poll_fast_path()).collect();
    assert_eq!(changes.len(), 3);
    for port in 20_000..20_003 {
        assert!(changes.contains(&FastPathChange::Return(connection(port))), "{port}");
        fast.give_back(&connection(port));
    }
    assert_eq!((fast.lab.engine.statistics().fast_path.connections, rows(&fast.lab).len()), (0, 0));
    fast.lab.wait_ms(0);
    assert_eq!(active(&fast.lab), [(0, 0); 3]);
}

/// The process stood still: the time of the connection is over before anybody asked what it carried.
#[test]
fn what_was_carried_in_the_meantime_keeps_a_connection() {
    let mut fast = Fast::new(&hashed(), 8);
    fast.send(20_000, SYN);
    fast.send(20_001, SYN);
    fast.send(20_000, ACK);
    fast.lab.wait_ms(61_000);
    fast.follow();
    fast.lab.wait_ms(0);
    let rows = rows(&fast.lab);
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].client.port(), rows[0].state), (20_000, "ESTABLISHED"));
    assert_eq!((rows[0].in_packets.0, rows[0].expires_in_ms.0), (2, 900_000));
}

/// Nor does a packet that comes to the director first find the connection gone.
#[test]
fn a_reset_finds_the_connection_that_went_on_in_the_meantime() {
    for (carried, state) in [(true, Some("CLOSE")), (false, None)] {
        let mut fast = Fast::new(&hashed(), 8);
        fast.send(20_000, SYN);
        if carried {
            fast.send(20_000, ACK);
        }
        fast.lab.now = fast.lab.now + std::time::Duration::from_secs(61);
        fast.send(20_000, RST);
        let states: Vec<_> = rows(&fast.lab).iter().map(|row| row.state).collect();
        assert_eq!(states, Vec::from_iter(state));
    }
}

/// Nobody answers for what the fast path carried: a second later it is over.
#[test]
fn a_fast_path_that_does_not_answer_holds_nothing_up() {
    let mut fast = Fast::new(&hashed(), 8);
    fast.send(20_000, SYN);
    fast.lab.wait_ms(61_000);
    fast.lab.wait_ms(1_100);
    assert_eq!(rows(&fast.lab).len(), 0);
}
