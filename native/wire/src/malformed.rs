//! Why a frame is not to be believed.

use core::fmt;

/// What is wrong with a frame. A closed list: each value is a drop reason with its own counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Malformed {
    /// The frame ends before its headers, or before the length its IP header promises.
    Truncated,
    /// A length field contradicts another field (or asks for a jumbogram).
    BadLength,
    /// The IP version contradicts the Ethernet type, an IPv4 header shorter than 20 octets, or a
    /// chain of IPv6 extension headers out of order or too long.
    BadHeader,
    /// The IPv4 header checksum is wrong.
    BadChecksum,
    /// A source address no reply could reach: multicast, broadcast, unspecified or loopback.
    BadSource,
    /// An IPv4 option that is malformed, or a source route (IPv4 option or IPv6 routing header
    /// type 0).
    BadOption,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "the frame ends before its headers or its stated length",
            Self::BadLength => "a length field contradicts the rest of the packet",
            Self::BadHeader => "the IP version or the order of the headers is wrong",
            Self::BadChecksum => "the IPv4 header checksum is wrong",
            Self::BadSource => "the source address cannot be replied to",
            Self::BadOption => "an IP option is malformed or a source route",
        })
    }
}

impl core::error::Error for Malformed {}
