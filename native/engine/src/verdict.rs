//! The engine's answers: closed enums, each value with a name and a counter.

use crate::hop::{Egress, ServerId};

/// Defines a closed enum of reasons with stable kebab-case names; each reason is a counter index.
macro_rules! reasons {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $variant:ident => $text:literal,)+ }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$inner])* $variant,)+ }

        impl $name {
            /// All values, in the order of their counters.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The stable name, as statistics and explanations spell it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        #[cfg(feature = "serde")]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }
    };
}
pub(crate) use reasons;

reasons! {
    /// Why a frame was left to the host ("not ours").
    PassReason {
        /// No virtual service has this protocol, address and port.
        NoService => "no-service",
        /// A protocol the director does not balance.
        Protocol => "protocol",
        /// Not an IP packet (and not an answered ARP request).
        NotIp => "not-ip",
        /// Not addressed to this host at layer 2.
        OtherHost => "other-host",
        /// A TCP segment that may not create a connection (no SYN and not sloppy, or RST).
        TcpNotFirst => "tcp-not-first",
        /// An SCTP packet that may not create an association (no INIT and not sloppy, or ABORT).
        SctpNotFirst => "sctp-not-first",
        /// From a real server, and of no connection: routed on as it is.
        FromServer => "from-server",
        /// Source port 20: FTP data is never scheduled.
        FtpData => "ftp-data",
        /// A fragment of a packet that is neither to a virtual address nor from a server.
        Fragment => "fragment",
        /// An ICMP message that is not an error about a packet of ours.
        Icmp => "icmp",
        /// An ICMP error about a packet of no known connection.
        IcmpNoConnection => "icmp-no-connection",
        /// The port has nothing to do with the FTP service that caught the address.
        FtpService => "ftp-service",
    }
}

reasons! {
    /// Why a frame was dropped. Malformed frames are named by what is wrong with them.
    DropReason {
        /// The frame ends before its headers do.
        Truncated => "truncated",
        /// A length field contradicts the frame or another field.
        BadLength => "bad-length",
        /// The IP version field contradicts the Ethernet type, or the header length is below 20.
        BadHeader => "bad-header",
        /// The IPv4 header checksum is wrong.
        BadChecksum => "bad-checksum",
        /// A source address no reply could reach (multicast, broadcast, unspecified).
        BadSource => "bad-source",
        /// An IPv4 option that is malformed or a source route.
        BadOption => "bad-option",
        /// Layer-4 header cut off.
        TruncatedTransport => "truncated-transport",
        /// The connection's real server was removed.
        ServerRemoved => "server-removed",
        /// The way to the real server, or back to the client, is not known and its waiting room is not available.
        Unreachable => "unreachable",
        /// The real server's address belongs to the director itself.
        ServerIsLocal => "server-is-local",
        /// No real server for an ICMP error that would have created a connection.
        IcmpNoServer => "icmp-no-server",
        /// The connection table is full and the scheduler cannot place without it.
        TableFull => "table-full",
        /// IPv6 hop-by-hop options: direct routing does not carry them (as in the kernel).
        HopByHop => "hop-by-hop",
        /// An ICMP error that would have to be rewritten, and whose checksum is wrong.
        BadIcmpChecksum => "bad-icmp-checksum",
        /// The packet expired at the director and an ICMP error may not answer it.
        HopLimit => "hop-limit",
        /// The packet is too big for its way and an ICMP error may not answer it.
        TooBig => "too-big",
        /// No real server, and an ICMP error may not answer the packet.
        NoServer => "no-server",
        /// A fragment that overlaps others of its packet: all of them go (RFC 5722).
        FragmentOverlap => "fragment-overlap",
        /// A fragment that is there already.
        FragmentDuplicate => "fragment-duplicate",
        /// Fragments of one packet contradict each other (length, ECN): all of them go.
        FragmentMismatch => "fragment-mismatch",
        /// No room for a fragment, or too many of one packet.
        FragmentLimit => "fragment-limit",
        /// One of many packets that would have made connections (`dropPacket`).
        Defence => "defence",
        /// No address of the director's own to begin a tunnel at.
        NoTunnelSource => "no-tunnel-source",
        /// The way's MTU leaves too little room inside the tunnel.
        TunnelMtu => "tunnel-mtu",
        /// A checksum was left to the device at a place where the packet has none.
        BadOffload => "bad-offload",
        /// A frame for several segments that cannot be cut into them.
        BadSegmentation => "bad-segmentation",
        /// From a masqueraded server, of no connection, and an ICMP error may not answer the packet.
        NoConnection => "no-connection",
        /// ICMP errors and resets are rate-limited and the limit was reached.
        IcmpRateLimit => "icmp-rate-limit",
    }
}

reasons! {
    /// Why the director itself answered, in place of the packet going on.
    ReplyReason {
        /// No real server to take a new connection: port unreachable.
        NoServer => "no-server",
        /// TTL or hop limit ran out: time exceeded.
        HopLimit => "hop-limit",
        /// Fragmentation needed (IPv4) or packet too big (IPv6).
        TooBig => "too-big",
        /// An ICMP error about a packet the director wrapped: told on to the client.
        Relayed => "relayed",
        /// From a masqueraded server, and of no connection of it (`nat_icmp_send`): port
        /// unreachable.
        NoConnection => "no-connection",
        /// A mid-stream TCP packet of no connection (`resetMidstream`): reset.
        TcpReset => "tcp-reset",
        /// No route or no neighbour: host (IPv4) or address (IPv6) unreachable.
        Unreachable => "unreachable",
        /// Who has the virtual address: answered for it (ARP or neighbour discovery).
        Neighbour => "neighbour",
    }
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The frame, rewritten in place, goes to this server.
    Forward {
        /// The real server.
        server: ServerId,
        /// Where the frame leaves.
        egress: Egress,
        /// Octets of the frame that go out, from its start (Ethernet padding is left behind).
        length: u32,
    },
    /// The packet goes to this server inside another: in front of it comes the prefix that the
    /// outputs hold, in place of its Ethernet header.
    Encapsulate {
        /// The real server.
        server: ServerId,
        /// Where the frame leaves.
        egress: Egress,
        /// Where in the frame the packet begins.
        from: u32,
        /// Where in the frame it ends.
        end: u32,
    },
    /// The packet goes to this server as the frames appended to the outputs (fragments, segments).
    ForwardFragments {
        /// The real server.
        server: ServerId,
    },
    /// The frame, a reply of this server rewritten in place, goes back to the client.
    Return {
        /// The real server it came from.
        server: ServerId,
        /// Where the frame leaves.
        egress: Egress,
        /// Octets of the frame that go out, from its start (Ethernet padding is left behind).
        length: u32,
    },
    /// The reply goes back to the client as the frames appended to the outputs (IPv4 fragments).
    ReturnFragments {
        /// The real server it came from.
        server: ServerId,
    },
    /// The frame, of this masqueraded server and of no connection, goes on to where it is addressed, as
    /// by a router.
    Route {
        /// The real server it came from.
        server: ServerId,
        /// Where the frame leaves.
        egress: Egress,
        /// Octets of the frame that go out, from its start (Ethernet padding is left behind).
        length: u32,
    },
    /// It goes on as the frames appended to the outputs (IPv4 fragments).
    RouteFragments {
        /// The real server it came from.
        server: ServerId,
    },
    /// The director answered; the answer was appended to the outputs.
    Reply(ReplyReason),
    /// A fragment: kept until the others of its packet are there, or its time is over.
    Hold,
    /// Not ours: the host deals with it.
    Pass(PassReason),
    /// Dropped.
    Drop(DropReason),
}
