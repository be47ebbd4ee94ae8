//! Classic pcap files: read in both byte orders, with microseconds or nanoseconds; written in the
//! machine's order with nanoseconds. A [`PcapPort`] plays one file through a director.

use std::io::{self, Write};
use std::time::Duration;

use engine::frame::{FrameMeta, InterfaceId};
use engine::snapshot::Counter;
use thiserror::Error;

use super::{
    Disposition, FrameHandler, InterfaceCounters, Offload, Outgoing, PacketPort, Received, part,
};

/// Octets of the file header and of each record's header.
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;

/// Magic numbers, as a writer of the same byte order stores them.
const MAGIC_MICROSECONDS: u32 = 0xa1b2_c3d4;
const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;

/// The link type of Ethernet frames.
const LINK_ETHERNET: u32 = 1;

/// Longest frame a file may hold: a 64 KB packet and headers, with room to spare.
const FRAME_MAX: u32 = 262_144;

/// Why a pcap file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PcapError {
    /// It does not begin like one.
    #[error("not a classic pcap file (pcapng must be converted first)")]
    Magic,
    /// Its frames are not Ethernet frames.
    #[error("link type {0}: only Ethernet (1) can be read")]
    LinkType(u32),
    /// It ends within a header or a frame.
    #[error("the file ends within a record")]
    Truncated,
    /// A record longer than any frame.
    #[error("a record of {0} octets: at most 262144 are allowed")]
    Length(u32),
}

/// A frame of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PcapFrame<'a> {
    /// When it was captured, since the epoch of the file.
    pub time: Duration,
    /// The captured octets.
    pub octets: &'a [u8],
    /// Length of the frame on the wire; more than `octets` when the capture cut it.
    pub length: u32,
}

/// Reads the frames of a file held in memory.
#[derive(Clone, Debug)]
pub struct PcapReader<'a> {
    rest: &'a [u8],
    swapped: bool,
    nanoseconds: bool,
}

impl<'a> PcapReader<'a> {
    /// Reads the file header.
    ///
    /// # Errors
    /// When `file` is no classic pcap file of Ethernet frames.
    pub fn new(file: &'a [u8]) -> Result<Self, PcapError> {
        let magic = word(file, 0, false).ok_or(PcapError::Magic)?;
        let (swapped, nanoseconds) = match magic {
            MAGIC_MICROSECONDS => (false, false),
            MAGIC_NANOSECONDS => (false, true),
            _ if magic.swap_bytes() == MAGIC_MICROSECONDS => (true, false),
            _ if magic.swap_bytes() == MAGIC_NANOSECONDS => (true, true),
            _ => return Err(PcapError::Magic),
        };
        // The upper bits say whether frames carry a check sequence; they do not in practice.
        let link = word(file, 20, swapped).ok_or(PcapError::Truncated)? & 0x0fff_ffff;
        if link != LINK_ETHERNET {
            return Err(PcapError::LinkType(link));
        }
        let rest = file.get(FILE_HEADER..).ok_or(PcapError::Truncated)?;
        Ok(Self { rest, swapped, nanoseconds })
    }

    fn record(&self) -> Result<(PcapFrame<'a>, &'a [u8]), PcapError> {
        let field = |at| word(self.rest, at, self.swapped).ok_or(PcapError::Truncated);
        let (seconds, fraction, captured, length) = (field(0)?, field(4)?, field(8)?, field(12)?);
        if captured > FRAME_MAX {
            return Err(PcapError::Length(captured));
        }
        let end = RECORD_HEADER + usize::try_from(captured).unwrap_or(usize::MAX);
        let octets = self.rest.get(RECORD_HEADER..end).ok_or(PcapError::Truncated)?;
        let unit = if self.nanoseconds { 1 } else { 1000 };
        let time =
            Duration::from_secs(seconds.into()) + Duration::from_nanos(u64::from(fraction) * unit);
        let rest = self.rest.get(end..).unwrap_or_default();
        Ok((PcapFrame { time, octets, length }, rest))
    }
}

impl<'a> Iterator for PcapReader<'a> {
    type Item = Result<PcapFrame<'a>, PcapError>;

    /// The next frame; after an error the file is over.
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let record = self.record();
        self.rest = record.as_ref().map_or(&[][..], |(_, rest)| rest);
        Some(record.map(|(frame, _)| frame))
    }
}

fn word(octets: &[u8], at: usize, swapped: bool) -> Option<u32> {
    let word = octets.get(at..)?.first_chunk::<4>()?;
    let value = u32::from_ne_bytes(*word);
    Some(if swapped { value.swap_bytes() } else { value })
}

/// Writes frames to a file.
#[derive(Debug)]
pub struct PcapWriter<W> {
    output: W,
}

impl<W: Write> PcapWriter<W> {
    /// Writes the file header.
    ///
    /// # Errors
    /// Those of `output`.
    pub fn new(mut output: W) -> io::Result<Self> {
        let version = u32::from_ne_bytes(if cfg!(target_endian = "little") {
            [2, 0, 4, 0]
        } else {
            [0, 2, 0, 4]
        });
        for word in [MAGIC_NANOSECONDS, version, 0, 0, FRAME_MAX, LINK_ETHERNET] {
            output.write_all(&word.to_ne_bytes())?;
        }
        Ok(Self { output })
    }

    /// Writes one frame.
    ///
    /// # Errors
    /// Those of `output`.
    pub fn write(&mut self, time: Duration, octets: &[u8]) -> io::Result<()> {
        let octets = octets.get(..FRAME_MAX as usize).unwrap_or(octets);
        let length = u32::try_from(octets.len()).unwrap_or(FRAME_MAX);
        let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        for word in [seconds, time.subsec_nanos(), length, length] {
            self.output.write_all(&word.to_ne_bytes())?;
        }
        self.output.write_all(octets)
    }

    /// Gives the output back.
    pub fn into_inner(self) -> W {
        self.output
    }
}

/// Plays the frames of a file as if they came by one interface, and writes what is sent.
#[derive(Debug)]
pub struct PcapPort<'a, W> {
    reader: PcapReader<'a>,
    writer: PcapWriter<W>,
    counters: InterfaceCounters,
    time: Duration,
    buffer: Vec<u8>,
}

impl<'a, W: Write> PcapPort<'a, W> {
    /// A port that reads `reader` and writes to `writer`.
    #[must_use]
    pub const fn new(
        reader: PcapReader<'a>,
        writer: PcapWriter<W>,
        interface: InterfaceId,
    ) -> Self {
        let counters = InterfaceCounters::new(interface);
        Self { reader, writer, counters, time: Duration::ZERO, buffer: Vec::new() }
    }

    /// When the frame handed out last was captured; for a clock that follows the file.
    #[must_use]
    pub const fn time(&self) -> Duration {
        self.time
    }

    /// Gives back what was written.
    pub fn into_output(self) -> W {
        self.writer.into_inner()
    }

    fn put_out(&mut self, octets: &[u8]) {
        match self.writer.write(self.time, octets) {
            Ok(()) => self.counters.sent = Counter(self.counters.sent.0 + 1),
            Err(_) => self.counters.send_failures = Counter(self.counters.send_failures.0 + 1),
        }
    }
}

impl<W: Write> PacketPort for PcapPort<'_, W> {
    type Control = ();

    fn wait(&mut self, _timeout: Option<Duration>) -> io::Result<()> {
        if self.reader.rest.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    fn exchange(&mut self, limit: usize, mut handler: impl FrameHandler) -> io::Result<usize> {
        for handled in 0..limit {
            let Some(frame) = self.reader.next() else { return Ok(handled) };
            let frame = frame.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            self.time = frame.time;
            self.counters.received = Counter(self.counters.received.0 + 1);
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.clear();
            buffer.extend_from_slice(frame.octets);
            let meta = FrameMeta::plain(self.counters.interface);
            let offload = Offload::default();
            let received = Received { octets: &mut buffer, meta, offload, waited: Duration::ZERO };
            let disposition = handler.handle(received);
            handler.before_sending();
            match disposition {
                Disposition::Done => {}
                Disposition::Send { length, .. } => self.put_out(part(&buffer, 0, length)),
                Disposition::SendBehind { prefix, from, end, .. } => {
                    self.put_out(&[prefix.octets(), part(&buffer, from, end)].concat());
                }
            }
            self.buffer = buffer;
        }
        Ok(limit)
    }

    fn send<'a>(&mut self, frames: impl Iterator<Item = Outgoing<'a>>) {
        for frame in frames {
            self.put_out(frame.octets);
        }
    }

    fn control(&mut self, _control: ()) -> io::Result<()> {
        Ok(())
    }

    fn prepare(&mut self, _interfaces: impl Iterator<Item = InterfaceId>) {}

    fn is_congested(&self) -> bool {
        false
    }

    fn counters(&mut self, into: &mut Vec<InterfaceCounters>) {
        into.push(self.counters);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(nanoseconds: bool, big: bool) -> Vec<u8> {
        let magic = if nanoseconds { MAGIC_NANOSECONDS } else { MAGIC_MICROSECONDS };
        let words = [magic, 0x0002_0004, 0, 0, 65535, 1, 7, 8, 3, 60];
        let mut file: Vec<u8> = words
            .iter()
            .flat_map(|word: &u32| if big { word.to_be_bytes() } else { word.to_le_bytes() })
            .collect();
        file.extend([1, 2, 3]);
        file
    }

    #[test]
    fn reads_both_byte_orders_and_both_resolutions() {
        for big in [false, true] {
            for (nanoseconds, fraction) in [(false, 8_000), (true, 8)] {
                let file = file(nanoseconds, big);
                let frames: Vec<_> = PcapReader::new(&file).expect("a pcap file").collect();
                let time = Duration::new(7, fraction);
                let expected = PcapFrame { time, octets: &[1, 2, 3], length: 60 };
                assert_eq!(frames, [Ok(expected)], "big {big} nanoseconds {nanoseconds}");
            }
        }
    }

    #[test]
    fn refuses_what_is_no_capture_and_ends_after_a_cut_record() {
        assert_eq!(PcapReader::new(&[]).err(), Some(PcapError::Magic));
        assert_eq!(PcapReader::new(b"\n\r\r\n1234").err(), Some(PcapError::Magic));
        let mut linked = file(true, false);
        linked[20] = 113;
        assert_eq!(PcapReader::new(&linked).err(), Some(PcapError::LinkType(113)));
        let whole = file(true, false);
        for end in FILE_HEADER + 1..whole.len() {
            let cut: Vec<_> = PcapReader::new(&whole[..end]).expect("a pcap file").collect();
            assert_eq!(cut, [Err(PcapError::Truncated)], "cut at {end}");
        }
        let mut long = whole;
        long[FILE_HEADER + 10] = 0xff;
        let frames: Vec<_> = PcapReader::new(&long).expect("a pcap file").collect();
        assert_eq!(frames, [Err(PcapError::Length(0x00ff_0003))]);
    }

    #[test]
    fn what_is_sent_can_be_read_again() {
        let input = file(true, true);
        let writer = PcapWriter::new(Vec::new()).expect("memory does not fail");
        let reader = PcapReader::new(&input).expect("a pcap file");
        let mut port = PcapPort::new(reader, writer, InterfaceId(1));
        let handled = port.exchange(64, |frame: Received<'_>| {
            frame.octets[0] = 9;
            Disposition::Send { interface: InterfaceId(2), length: 2, offload: Offload::default() }
        });
        assert_eq!(handled.expect("the file is whole"), 1);
        assert!(port.wait(None).is_err(), "the file is over");
        let output = port.into_output();
        let frames: Vec<_> = PcapReader::new(&output).expect("a pcap file").collect();
        let expected = PcapFrame { time: Duration::new(7, 8), octets: &[9, 2], length: 2 };
        assert_eq!(frames, [Ok(expected)]);
    }
}
