//! The far end: fragments are put together, tunnels opened, and everything on the outside is checked.

use engine::frame::{ChecksumState, Outputs, PartialChecksum};
use wire::dissect::{Dissection, Fragment, dissect};
use wire::protocol::{GRE, UDP};
use wire::{gre, gue};

use crate::{good, tunnel_sources};

const LINK: usize = 14;
const IPV6_HEADER: usize = 40;
const FRAGMENT_HEADER: usize = 8;
const FRAGMENT: u8 = 44;

/// The packet inside a frame that the director wrapped, as a frame of its own, and whether it is
/// wrapped at all. Panics where a checksum on the outside is wrong.
pub(crate) fn unwrapped(out: &[u8]) -> Option<Vec<u8>> {
    let Ok(Dissection::Ip(outer)) = dissect(out) else { return None };
    if !tunnel_sources().contains(&outer.source) {
        return None;
    }
    let payload = &out[outer.l4..outer.end];
    let mut remote = None;
    let inner = match outer.protocol {
        GRE => {
            let header = gre::header(payload).expect("a GRE header");
            assert!(!header.checksum || good::sums_up(payload), "GRE checksum: {out:02x?}");
            &payload[header.header_len..]
        }
        UDP => {
            let without = payload[6..8] == [0, 0];
            assert!(without || good::transport(out), "UDP checksum of GUE: {out:02x?}");
            let header = gue::header(&payload[8..]).expect("a GUE header");
            remote = header.remote_checksum;
            &payload[8 + header.header_len..]
        }
        _ => payload,
    };
    let mut frame = behind_link(inner);
    if let Some(remote) = remote {
        let (start, field) = (remote.start + 14, remote.offset + 14);
        let place = PartialChecksum { start, offset: field - start };
        frame = good::as_the_device(&frame, ChecksumState::Partial(place))
            .expect("it is inside")
            .into_owned();
    }
    Some(frame)
}

fn behind_link(packet: &[u8]) -> Vec<u8> {
    let ether_type = if packet[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
    [&[0; 12][..], &ether_type, packet].concat()
}

/// The packets of which frames in the outputs are fragments, as frames; whole ones as they are.
pub(crate) fn put_together(outputs: &Outputs) -> Vec<Vec<u8>> {
    let mut whole = Vec::new();
    let mut parts: Vec<u8> = Vec::new();
    for made in outputs.frames() {
        let octets = outputs.octets(made);
        let (_, l3) = wire::ethernet::payload(octets).expect("an Ethernet header");
        let packet = &octets[l3..];
        let Some(piece) = Piece::of(packet) else {
            whole.push(octets.to_vec());
            continue;
        };
        assert_eq!(piece.offset, parts.len(), "fragments follow each other: {octets:02x?}");
        parts.extend(piece.payload);
        if !piece.more {
            whole.push(behind_link(&piece.whole(packet, &parts)));
            parts.clear();
        }
    }
    whole
}

struct Piece<'a> {
    offset: usize,
    more: bool,
    payload: &'a [u8],
}

impl<'a> Piece<'a> {
    fn of(packet: &'a [u8]) -> Option<Self> {
        let word = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
        if packet[0] >> 4 == 4 {
            let field = word(6);
            let payload = &packet[usize::from(packet[0] & 15) * 4..];
            let (offset, more) = (usize::from(field & 0x1fff) * 8, field & 0x2000 != 0);
            return (offset > 0 || more).then_some(Self { offset, more, payload });
        }
        (packet[6] == FRAGMENT).then(|| Self {
            offset: usize::from(word(IPV6_HEADER + 2) & 0xfff8),
            more: word(IPV6_HEADER + 2) & 1 != 0,
            payload: &packet[IPV6_HEADER + FRAGMENT_HEADER..],
        })
    }

    /// The packet, from the header of its last fragment.
    fn whole(&self, last: &[u8], payload: &[u8]) -> Vec<u8> {
        if last[0] >> 4 == 6 {
            let mut packet = [&last[..IPV6_HEADER], payload].concat();
            let length = u16::try_from(payload.len()).unwrap_or(0);
            packet[4..6].copy_from_slice(&length.to_be_bytes());
            packet[6] = last[IPV6_HEADER];
            return packet;
        }
        let header = last.len() - self.payload.len();
        let mut packet = [&last[..header], payload].concat();
        let length = u16::try_from(packet.len()).unwrap_or(0);
        packet[2..4].copy_from_slice(&length.to_be_bytes());
        packet[6..8].fill(0);
        let mut frame = behind_link(&packet);
        good::repair_ipv4_header(&mut frame);
        frame.split_off(LINK)
    }
}

/// Whether a frame is one of several that a packet came in.
pub(crate) fn is_fragment(octets: &[u8]) -> bool {
    matches!(dissect(octets), Ok(Dissection::Ip(ip)) if ip.fragment != Fragment::No)
}
