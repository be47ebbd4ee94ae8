use super::*;
use crate::port::{PcapError, PcapReader, PcapWriter};
use crate::testing::{ACK, SYN, add_server, add_service, remove_server, segment, set_weight};
use engine::event::AdoptionCause;
use engine::frame::InterfaceId;
use engine::snapshot::Counter;

const PLAIN: FrameMeta = FrameMeta::plain(InterfaceId(1));

fn director() -> OfflineDirector {
    let mut director = OfflineDirector::new(OfflineOptions {
        limits: Limits { connections: 1024, events: 64, ..Limits::default() },
        seed: 1,
    });
    director
        .apply(&[add_service(80), add_server(80, 11), add_server(80, 12)])
        .expect("valid commands");
    director
}

fn server_of(result: &OfflineResult) -> IpAddr {
    result.server.as_ref().expect("it was forwarded").address
}

#[test]
fn a_connection_goes_to_one_server_with_addresses_that_follow_from_it() {
    let mut director = director();
    let syn = director.process(&segment(1000, 80, SYN), &PLAIN);
    assert_eq!((syn.verdict, syn.reason, syn.waiting), ("forward", None, false));
    let [frame] = syn.frames.as_slice() else { panic!("one frame leaves") };
    let assumed = hops::assumed(server_of(&syn));
    assert_eq!(frame.frame[..6], assumed.destination.0);
    assert_eq!(frame.frame[6..12], assumed.source.0);
    assert_eq!((frame.frame.len(), frame.frame[22]), (54, 63), "padding left, TTL one less");
    let ack = director.process(&segment(1000, 80, ACK), &PLAIN);
    assert_eq!(server_of(&ack), server_of(&syn));
    assert_eq!(director.take_events(), [], "nothing was adopted");
    assert_eq!(director.statistics().forwarded, Counter(2));
}

#[test]
fn what_is_not_ours_passes_with_its_reason() {
    let mut director = director();
    let result = director.process(&segment(1000, 81, SYN), &PLAIN);
    assert_eq!((result.verdict, result.reason), ("pass", Some("no-service")));
    assert_eq!(director.process(&[0; 3], &PLAIN).reason, Some("truncated"));
}

#[test]
fn an_adoption_is_told() {
    let mut director = director();
    let result = director.process(&segment(1000, 80, ACK), &PLAIN);
    let events = director.take_events();
    let [Event::Adopted { cause, count, server, .. }] = events.as_slice() else {
        panic!("one adoption, not {events:?}");
    };
    assert_eq!((*cause, *count), (AdoptionCause::TcpAck, Counter(1)));
    assert_eq!(server.ip(), server_of(&result));
}

#[test]
fn frames_wait_for_their_neighbour_and_leave_when_it_is_known() {
    let mut director = director();
    director.apply(&[remove_server(80, 12)]).expect("it is there");
    let address = IpAddr::from([10, 0, 0, 11]);
    director.set_hop(address, Hop::Resolving { mtu: 1500 });
    let result = director.process(&segment(1000, 80, SYN), &PLAIN);
    assert_eq!((result.verdict, result.frames.len(), result.waiting), ("forward", 0, true));
    assert_eq!(director.take_released(), []);
    director.set_hop(address, Hop::Ready(hops::assumed(address)));
    let released = director.take_released();
    assert_eq!(released.len(), 1);
    assert_eq!(released[0].frame[..6], hops::assumed(address).destination.0);
    director.set_hop(address, Hop::Unreachable);
    let result = director.process(&segment(1000, 80, ACK), &PLAIN);
    assert_eq!((result.verdict, result.frames.len()), ("reply", 1), "{result:?}");
}

#[test]
fn time_passes_only_when_told_and_ends_connections() {
    let mut director = director();
    director.process(&segment(1000, 80, SYN), &PLAIN);
    let listed = |director: &OfflineDirector| {
        director.connections(&ConnectionFilter::default(), 0, 10).rows.len()
    };
    assert_eq!((director.now(), listed(&director)), (Duration::ZERO, 1));
    director.advance(Duration::from_secs(3600));
    assert_eq!((director.now(), listed(&director)), (Duration::from_secs(3600), 0));
}

#[test]
fn a_quiesced_server_tells_when_it_is_idle_and_a_removed_one_is_forgotten() {
    let mut director = director();
    let result = director.process(&segment(1000, 80, SYN), &PLAIN);
    director.process(&segment(1000, 80, ACK), &PLAIN);
    let IpAddr::V4(address) = server_of(&result) else { panic!("an IPv4 server") };
    let last = address.octets()[3];
    director.apply(&[set_weight(80, last, 0)]).expect("it is there");
    director.advance(Duration::from_secs(3600));
    let idle = director.take_events();
    assert!(matches!(idle.as_slice(), [Event::ServerIdle { remaining: 0, .. }]), "{idle:?}");
    director.apply(&[remove_server(80, last)]).expect("it is there");
    assert_eq!(director.configuration().removed_servers().count(), 1);
    director.advance(Duration::from_secs(240));
    assert_eq!(director.configuration().removed_servers().count(), 0);
}

#[test]
fn refused_commands_change_nothing() {
    let mut director = director();
    let before = director.configuration().version();
    let issues = director.apply(&[remove_server(80, 11), remove_server(80, 99)]);
    assert_eq!(issues.expect_err("there is no such server").len(), 1);
    assert_eq!(director.configuration().version(), before);
    assert_eq!(director.statistics().services[0].servers.len(), 2);
}

/// A capture of `frames`, so many seconds after its epoch.
fn capture(frames: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let mut writer = PcapWriter::new(Vec::new()).expect("memory does not fail");
    for (seconds, frame) in frames {
        writer.write(Duration::from_secs(*seconds), frame).expect("memory does not fail");
    }
    writer.into_inner()
}

#[test]
fn a_capture_is_played_at_its_own_pace() {
    let mut director = director();
    let file = capture(&[
        (1_700_000_000, segment(1000, 80, SYN)),
        (1_700_000_001, segment(1000, 80, ACK)),
        (1_700_000_001, segment(1000, 81, SYN)),
        (1_700_009_000, segment(1000, 80, ACK)),
    ]);
    let mut output = PcapWriter::new(Vec::new()).expect("memory does not fail");
    let reader = PcapReader::new(&file).expect("a capture");
    let played = director.replay(reader, InterfaceId(1), &mut output).expect("it is whole");
    assert_eq!((played, director.now()), (4, Duration::from_secs(9000)));
    let adopted = director.take_events();
    assert!(matches!(adopted.as_slice(), [Event::Adopted { .. }]), "expired, then adopted");
    let output = output.into_inner();
    let left: Vec<_> = PcapReader::new(&output)
        .expect("a capture")
        .map(|frame| frame.expect("it is whole").time.as_secs())
        .collect();
    assert_eq!(left, [1_700_000_000, 1_700_000_001, 1_700_009_000]);
}

#[test]
fn a_damaged_capture_is_played_up_to_the_damage() {
    let mut director = director();
    let mut file = capture(&[(1, segment(1000, 80, SYN)), (2, segment(1000, 80, ACK))]);
    file.pop();
    let mut output = PcapWriter::new(Vec::new()).expect("memory does not fail");
    let reader = PcapReader::new(&file).expect("a capture");
    let error = director.replay(reader, InterfaceId(1), &mut output).expect_err("it is cut");
    assert!(
        matches!(error, ReplayError::Capture { frame: 1, source: PcapError::Truncated }),
        "{error}"
    );
    assert_eq!(director.statistics().forwarded, Counter(1));
}
