use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::interpret::{Input, run};
use super::*;
use crate::bpf::{Instruction, PROGRAM_LEN_MAX};
use crate::ebpf::translate::in_both_machines;

const TCP: u8 = 6;
const UDP: u8 = 17;
const HOST: u32 = 0;
const OTHER_HOST: u32 = 3;
const OUTGOING: u32 = 4;
/// As long as a guard's programs may be beside their signature.
const GUARD_LEN: usize = 381;

/// What of a frame matters to a program.
#[derive(Clone, Copy, Debug)]
struct Shape {
    to: IpAddr,
    protocol: u8,
    port: u16,
    /// IPv4 options, or an IPv6 extension header in front.
    options: bool,
    /// The offset of a later fragment.
    later: bool,
}

fn plain(to: IpAddr, protocol: u8, port: u16) -> Shape {
    Shape { to, protocol, port, options: false, later: false }
}

fn frame(shape: Shape) -> Vec<u8> {
    let mut frame = vec![2; 12];
    match shape.to {
        IpAddr::V4(to) => {
            frame.extend_from_slice(&[0x08, 0x00]);
            let first = if shape.options { 0x46 } else { 0x45 };
            // Offsets in either octet; "more fragments" and "don't fragment" are no offset.
            let [flags, offset] = match (shape.later, shape.port % 2) {
                (true, 0) => [0x10, 0],
                (true, _) => [0x20, 1],
                (false, 0) => [0x20, 0],
                (false, _) => [0x40, 0],
            };
            let packet = [first, 0, 0, 0, 0, 0, flags, offset, 64, shape.protocol, 0, 0];
            frame.extend_from_slice(&packet);
            frame.extend_from_slice(&[10, 0, 0, 1]);
            frame.extend_from_slice(&to.octets());
            frame.extend_from_slice(if shape.options { &[1, 1, 1, 0] } else { &[] });
        }
        IpAddr::V6(to) => {
            frame.extend_from_slice(&[0x86, 0xdd, 0x60, 0, 0, 0, 0, 0]);
            let next = match (shape.options, shape.later) {
                (true, _) => 60,
                (_, true) => 44,
                _ => shape.protocol,
            };
            frame.extend_from_slice(&[next, 64]);
            frame.extend_from_slice(&[0xfd; 16]);
            frame.extend_from_slice(&to.octets());
            let behind_options = if shape.later { 44 } else { shape.protocol };
            let options = [behind_options, 0, 1, 4, 0, 0, 0, 0];
            frame.extend_from_slice(if shape.options { &options } else { &[] });
            let fragment = [shape.protocol, 0, 0, 8, 0, 0, 0, 1];
            frame.extend_from_slice(if shape.later { &fragment } else { &[] });
        }
    }
    let [p0, p1] = shape.port.to_be_bytes();
    frame.extend_from_slice(&[0x30, 0x39, p0, p1, 0, 0, 0, 0]);
    frame
}

fn accepts(program: &Program, shape: Shape, packet_type: u32) -> bool {
    match in_both_machines(program, &Input { octets: &frame(shape), packet_type }) {
        0 => false,
        u32::MAX => true,
        other => panic!("a socket's program answered {other}"),
    }
}

fn drops(programs: &[Program], shape: Shape) -> bool {
    programs.iter().any(|program| {
        match run(program.instructions(), &Input { octets: &frame(shape), packet_type: HOST }) {
            2 => true,
            u32::MAX => false,
            other => panic!("a guard's program answered {other}"),
        }
    })
}

fn inside(one: &ServiceMatch, to: IpAddr) -> bool {
    let common = |a: u128, b: u128, prefix: u32| prefix == 0 || (a ^ b) >> (128 - prefix) == 0;
    let prefix = u32::from(one.prefix_length);
    match (one.address, to) {
        (IpAddr::V4(own), IpAddr::V4(to)) => {
            common(u128::from(own.to_bits()) << 96, u128::from(to.to_bits()) << 96, prefix.min(32))
        }
        (IpAddr::V6(own), IpAddr::V6(to)) => common(own.to_bits(), to.to_bits(), prefix.min(128)),
        _ => false,
    }
}

/// Whether a frame is a service's own traffic, told match by match.
fn belongs(matches: &[ServiceMatch], shape: Shape) -> bool {
    matches.iter().any(|one| {
        let protocol = match one.protocol {
            Some(protocol) => protocol == shape.protocol,
            None => SERVICE_PROTOCOLS.contains(&shape.protocol),
        };
        let ports = one.ports.0..=one.ports.1;
        // A later fragment has no port.
        inside(one, shape.to) && protocol && (shape.later || ports.contains(&shape.port))
    })
}

/// Whether a socket has to get a frame.
fn concerns(matches: &[ServiceMatch], shape: Shape) -> bool {
    let to_service = matches.iter().any(|one| inside(one, shape.to));
    let icmp = if shape.to.is_ipv4() { 1 } else { 58 };
    let by_address = shape.later || shape.protocol == icmp || (shape.to.is_ipv6() && shape.options);
    if by_address { to_service } else { belongs(matches, shape) }
}

/// Numbers without a pattern, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % limit
    }

    fn small(&mut self, limit: u16) -> u16 {
        u16::try_from(self.below(u64::from(limit))).unwrap_or(0)
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).unwrap_or(0)]
    }

    /// Few different ones, close together, at the ends of the range too.
    fn address(&mut self) -> IpAddr {
        let host = self.small(12);
        let edge = self.of(&[0, 0, 0, u32::MAX - 11]);
        let network = self.of(&[0xc000_0200, 0xc000_0300, edge]);
        if self.below(2) == 0 {
            Ipv4Addr::from_bits(network.wrapping_add(host.into())).into()
        } else {
            let word = self.of(&[0, 1, 0xffff]);
            Ipv6Addr::new(0xfd00, 0, word, 0, 0, self.of(&[0, 7]), 0, host).into()
        }
    }

    fn service(&mut self) -> ServiceMatch {
        let any = self.small(u16::MAX);
        let first = self.of(&[0, 1, 80, 443, 65535, any]);
        let last = self.of(&[first, first.saturating_add(10), u16::MAX]);
        ServiceMatch {
            protocol: self.of(&[Some(TCP), Some(UDP), Some(132), None]),
            address: self.address(),
            prefix_length: self.of(&[128, 128, 128, 32, 31, 29, 24, 64, 126, 0]),
            ports: (first, last),
        }
    }

    fn shape(&mut self) -> Shape {
        let any = self.small(u16::MAX);
        Shape {
            to: self.address(),
            protocol: self.of(&[TCP, UDP, 132, 1, 58, 47]),
            port: self.of(&[0, 1, 79, 80, 81, 90, 91, 443, 65535, any]),
            options: self.below(4) == 0,
            later: self.below(6) == 0,
        }
    }
}

#[test]
fn programs_say_what_the_matches_say_one_by_one() {
    let mut numbers = Numbers(7);
    let mut counted = [0; 2];
    for _ in 0..400 {
        let count = 1 + numbers.below(8);
        let matches: Vec<_> = (0..count).map(|_| numbers.service()).collect();
        let classifier = Classifier::new(matches.iter().copied());
        let socket = classifier.socket_program(&SocketAudience::default());
        assert_eq!(socket.precision, Precision::Exact);
        let guard = classifier.guard_programs(GUARD_LEN);
        for _ in 0..100 {
            let shape = numbers.shape();
            let wanted = concerns(&matches, shape);
            counted[usize::from(wanted)] += 1;
            assert_eq!(accepts(&socket.program, shape, HOST), wanted, "{shape:?} {matches:#?}");
            let own = belongs(&matches, shape);
            assert_eq!(drops(&guard, shape), own, "guard: {shape:?} {matches:#?}");
        }
    }
    assert!(counted.iter().all(|count| *count > 2000), "{counted:?}");
}

#[test]
fn frames_cut_anywhere_are_let_go_on_by_the_guard() {
    let address: IpAddr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1).into();
    let guard =
        Classifier::new([ServiceMatch::service(UDP, address, 53)]).guard_programs(GUARD_LEN);
    let whole = frame(Shape { options: true, ..plain(address, UDP, 53) });
    for length in 0..whole.len() - 4 {
        let input = Input { octets: &whole[..length], packet_type: HOST };
        // 0 is TC_ACT_OK: reading behind the end answers that.
        assert_ne!(run(guard[0].instructions(), &input), 2, "{length} octets");
    }
}

#[test]
fn other_machines_frames_and_own_ones_are_refused() {
    let address = Ipv4Addr::new(192, 0, 2, 1).into();
    let classifier = Classifier::new([ServiceMatch::service(TCP, address, 80)]);
    let strict = classifier.socket_program(&SocketAudience::default()).program;
    let audience = SocketAudience { other_hosts: true, ..SocketAudience::default() };
    let wide = classifier.socket_program(&audience).program;
    let shape = plain(address, TCP, 80);
    for (packet_type, by_strict, by_wide) in
        [(HOST, true, true), (OTHER_HOST, false, true), (OUTGOING, false, false)]
    {
        assert_eq!(accepts(&strict, shape, packet_type), by_strict);
        assert_eq!(accepts(&wide, shape, packet_type), by_wide);
    }
}

#[test]
fn the_audience_leaves_out_icmp_and_fragments() {
    let address = Ipv4Addr::new(192, 0, 2, 1).into();
    let classifier = Classifier::new([ServiceMatch::service(TCP, address, 80)]);
    let audience = SocketAudience { icmp: false, fragments: false, ..SocketAudience::default() };
    let program = classifier.socket_program(&audience).program;
    let own = plain(address, TCP, 80);
    assert!(accepts(&program, own, HOST));
    assert!(!accepts(&program, plain(address, 1, 0), HOST));
    assert!(!accepts(&program, Shape { later: true, ..own }, HOST));
}

fn arp_for(target: Ipv4Addr) -> Vec<u8> {
    let mut frame = vec![0xff; 12];
    frame.extend_from_slice(&[0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1]);
    frame.extend_from_slice(&[2; 16]);
    frame.extend_from_slice(&target.octets());
    frame
}

fn solicitation_for(target: Ipv6Addr) -> Vec<u8> {
    let [.., high, middle, low] = target.octets();
    let group = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, high, middle, low];
    let mut frame = frame(plain(Ipv6Addr::from(group).into(), 58, 0));
    frame.truncate(54);
    frame.extend_from_slice(&[135, 0, 0, 0, 0, 0, 0, 0]);
    frame.extend_from_slice(&target.octets());
    frame
}

#[test]
fn neighbour_requests_for_the_services_addresses_are_let_through_on_demand() {
    let (ipv4, ipv6) = (Ipv4Addr::new(192, 0, 2, 1), Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1));
    let matches = [ipv4.into(), ipv6.into()].map(|address| ServiceMatch::service(TCP, address, 80));
    let classifier = Classifier::new(matches);
    let answering = SocketAudience { neighbours: true, ..SocketAudience::default() };
    for precision in [Precision::Exact, Precision::Address] {
        let asked = classifier.socket_program_from(&answering, precision).program;
        let silent = classifier.socket_program_from(&SocketAudience::default(), precision).program;
        let run = |program: &Program, octets: &[u8]| {
            in_both_machines(program, &Input { octets, packet_type: 1 }) != 0
        };
        let own = [arp_for(ipv4), solicitation_for(ipv6)];
        let other = [
            arp_for(Ipv4Addr::new(192, 0, 2, 2)),
            solicitation_for(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 1, 1)),
        ];
        assert!(own.iter().all(|frame| run(&asked, frame)), "{precision:?}");
        assert!(!other.iter().any(|frame| run(&asked, frame)), "{precision:?}");
        assert!(!own.iter().any(|frame| run(&silent, frame)), "{precision:?}");
    }
}

#[test]
fn without_services_nothing_is_let_through_and_nothing_dropped() {
    let none = Classifier::new([]);
    assert!(none.is_empty());
    let program = none.socket_program(&SocketAudience::default()).program;
    assert_eq!(program, Program::constant(0));
    assert!(none.guard_programs(GUARD_LEN).is_empty());
    let backwards = ServiceMatch {
        ports: (2, 1),
        ..ServiceMatch::service(TCP, Ipv4Addr::new(192, 0, 2, 1).into(), 80)
    };
    assert!(Classifier::new([backwards]).is_empty());
}

/// Scattered services, so that neither addresses nor ports join.
fn scattered(count: u16) -> Vec<ServiceMatch> {
    (0..count)
        .map(|number| {
            let [high, low] = number.to_be_bytes();
            let address = Ipv4Addr::new(10, high, low, 2 * (low % 100)).into();
            ServiceMatch::service(TCP, address, 1000 + 3 * number)
        })
        .collect()
}

#[test]
fn precision_gives_way_before_the_kernels_limit_and_services_stay_accepted() {
    let precision = |count| {
        let matches = scattered(count);
        let found =
            Classifier::new(matches.iter().copied()).socket_program(&SocketAudience::default());
        assert!(found.program.instructions().len() <= PROGRAM_LEN_MAX);
        for one in &matches {
            let octets = &frame(plain(one.address, TCP, one.ports.0));
            let answer = run(found.program.instructions(), &Input { octets, packet_type: HOST });
            assert_eq!(answer, u32::MAX, "{one:?} of {count}");
        }
        let last = matches.last().expect("several");
        assert!(accepts(&found.program, plain(last.address, TCP, last.ports.0), HOST));
        found.precision
    };
    assert_eq!(precision(400), Precision::Exact);
    assert_eq!(precision(1500), Precision::Address);
    assert_eq!(precision(5000), Precision::Everything);
}

#[test]
fn a_guard_stays_exact_in_parts_however_many_services_there_are() {
    let matches = scattered(2000);
    let programs = Classifier::new(matches.iter().copied()).guard_programs(GUARD_LEN);
    assert!(programs.iter().all(|program| program.instructions().len() <= GUARD_LEN));
    for one in &matches {
        assert!(drops(&programs, plain(one.address, TCP, one.ports.0)));
        assert!(!drops(&programs, plain(one.address, TCP, one.ports.0 + 1)));
        assert!(!drops(&programs, plain(one.address, UDP, one.ports.0)));
    }
}

#[test]
fn one_port_on_many_addresses_is_written_once() {
    let matches = (0..500).map(|number| {
        ServiceMatch::service(TCP, Ipv4Addr::from_bits(0x0a00_0000 + 2 * number).into(), 443)
    });
    let program = Classifier::new(matches).socket_program(&SocketAudience::default()).program;
    let is_port_load = |one: &&Instruction| one.code == crate::bpf::code::LOAD_HALF_INDEXED;
    assert_eq!(program.instructions().iter().filter(is_port_load).count(), 1);
}

/// The frame of `shape` the other way: from its address and port to [`ASKING`].
fn answer(shape: Shape) -> Vec<u8> {
    let mut frame = frame(shape);
    let length = if shape.to.is_ipv4() { 4 } else { 16 };
    let source = if shape.to.is_ipv4() { 26 } else { 22 };
    let (front, back) = frame.split_at_mut(source + length);
    front[source..].swap_with_slice(&mut back[..length]);
    let ports = frame.len() - 8;
    frame[ports..ports + 4].rotate_left(2);
    frame
}

/// Who sends the frames of [`frame`].
const ASKING: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), IpAddr::V6(Ipv6Addr::from_octets([0xfd; 16]))];

#[test]
fn what_comes_back_is_told_by_where_it_comes_from() {
    let mut numbers = Numbers(11);
    let mut counted = [0; 2];
    for _ in 0..200 {
        let services: Vec<_> = (0..numbers.below(3)).map(|_| numbers.service()).collect();
        let returns: Vec<_> = (0..1 + numbers.below(6)).map(|_| numbers.service()).collect();
        let own = ASKING.iter().filter(|_| numbers.below(2) == 0).copied().collect::<Vec<_>>();
        let classifier = Classifier::new(services.iter().copied())
            .with_returns(returns.iter().copied(), own.iter().copied());
        let socket = classifier.socket_program(&SocketAudience::default());
        assert_eq!(socket.precision, Precision::Exact);
        let wider = classifier.socket_program_from(&SocketAudience::default(), Precision::Address);
        let guard = classifier.guard_programs(GUARD_LEN);
        let accepts = |program: &Program, octets: &[u8]| {
            in_both_machines(program, &Input { octets, packet_type: HOST }) != 0
        };
        let drops = |octets: &[u8]| {
            guard.iter().any(|program| {
                run(program.instructions(), &Input { octets, packet_type: HOST }) == 2
            })
        };
        for _ in 0..100 {
            let shape = numbers.shape();
            let octets = answer(shape);
            // What the same frame is as one to a service: to whoever asked, at a high port.
            let asking = ASKING[usize::from(shape.to.is_ipv6())];
            let forth = Shape { to: asking, port: 0x3039, ..shape };
            let back = !own.contains(&asking) && concerns(&returns, shape);
            let wanted = back || concerns(&services, forth);
            counted[usize::from(wanted)] += 1;
            let all = (&services, &returns, &own);
            assert_eq!(accepts(&socket.program, &octets), wanted, "{shape:?} {all:#?}");
            assert!(accepts(&wider.program, &octets) || !wanted, "{shape:?} {all:#?}");
            let back = !own.contains(&asking) && belongs(&returns, shape);
            let dropped = back || belongs(&services, forth);
            assert_eq!(drops(&octets), dropped, "guard: {shape:?} {all:#?}");
        }
    }
    assert!(counted.iter().all(|count| *count > 1000), "{counted:?}");
}

#[test]
fn icmp_to_further_addresses_reaches_sockets_and_stays_with_the_host() {
    let (vip, own) = (Ipv4Addr::new(192, 0, 2, 80).into(), Ipv4Addr::new(10, 0, 0, 5).into());
    let classifier = Classifier::new([ServiceMatch::service(TCP, vip, 80)]).with_icmp_to([own]);
    let takes = |program: &Program, shape| {
        let frame = frame(shape);
        run(program.instructions(), &Input { octets: &frame, packet_type: HOST }) == u32::MAX
    };
    let socket = classifier.socket_program(&SocketAudience::default()).program;
    assert!(takes(&socket, plain(own, 1, 0)) && takes(&socket, plain(vip, TCP, 80)));
    assert!(!takes(&socket, plain(own, TCP, 22)) && !takes(&socket, plain(own, UDP, 53)));
    let other = Ipv4Addr::new(10, 0, 0, 6).into();
    assert!(!takes(&socket, plain(other, 1, 0)));
    let without = SocketAudience { icmp: false, ..SocketAudience::default() };
    assert!(!takes(&classifier.socket_program(&without).program, plain(own, 1, 0)));
    for guard in classifier.guard_programs(GUARD_LEN) {
        assert!(takes(&guard, plain(own, 1, 0)), "the host keeps it");
    }
    let nothing = Classifier::default().with_icmp_to([own]);
    assert!(!takes(&nothing.socket_program(&SocketAudience::default()).program, plain(own, 1, 0)));
}
