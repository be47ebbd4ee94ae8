//! The records both ends exchange, and their checks.
//!
//! On a stream: length of the rest (u32), then the body. As a message: the body alone.
//! Body: flow (u64), sequence (u64), flags (u8), name length (u8), name, payload; big endian.

use crate::cause::{Cause, Failure};
use crate::payload::{Direction, record_stream};

/// Longest body that is accepted, in bytes.
pub(crate) const BODY_LIMIT: usize = 1 << 20;
/// Longest payload that may be asked for, in bytes.
pub(crate) const PAYLOAD_LIMIT: usize = 1_000_000;
const HEAD: usize = 18;
const FLAG_LAST: u8 = 1;

/// One record without its payload, which is computed on sending and checked on arrival.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Number of the connection, the same for its whole life.
    pub(crate) flow: u64,
    /// 0, 1, 2, ... within the connection.
    pub(crate) sequence: u64,
    /// In a request: the server is to close after its answer.
    pub(crate) last: bool,
    /// In an answer: who answers. Empty in requests.
    pub(crate) name: String,
    /// Payload length in bytes.
    pub(crate) length: usize,
}

impl Record {
    /// Appends the body to `output`.
    pub(crate) fn put_body(&self, direction: Direction, output: &mut Vec<u8>) {
        output.extend_from_slice(&self.flow.to_be_bytes());
        output.extend_from_slice(&self.sequence.to_be_bytes());
        output.push(if self.last { FLAG_LAST } else { 0 });
        let name = self.name.as_bytes();
        let name = name.get(..255).unwrap_or(name);
        output.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        output.extend_from_slice(name);
        let start = output.len();
        output.resize(start + self.length, 0);
        if let Some(payload) = output.get_mut(start..) {
            record_stream(self.flow, self.sequence, direction, self.length).fill(payload);
        }
    }

    /// Replaces `output` by the record as it goes on a stream.
    pub(crate) fn frame_into(&self, direction: Direction, output: &mut Vec<u8>) {
        output.clear();
        output.extend_from_slice(&[0; 4]);
        self.put_body(direction, output);
        let length = u32::try_from(output.len() - 4).unwrap_or(u32::MAX);
        if let Some(prefix) = output.get_mut(..4) {
            prefix.copy_from_slice(&length.to_be_bytes());
        }
    }

    /// Reads a body and checks its payload.
    pub(crate) fn parse(body: &[u8], direction: Direction) -> Result<Self, Failure> {
        let corrupt = |what: &str| Failure::new(Cause::Corrupt, what);
        let (head, rest) = body.split_at_checked(HEAD).ok_or_else(|| corrupt("short record"))?;
        let word = |at: usize| -> u64 {
            let bytes = head.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
            u64::from_be_bytes(bytes.unwrap_or_default())
        };
        let [.., flags, name_length] = head else { return Err(corrupt("short record")) };
        let (name, payload) = rest
            .split_at_checked(usize::from(*name_length))
            .ok_or_else(|| corrupt("name longer than the record"))?;
        let name = std::str::from_utf8(name).map_err(|_| corrupt("name is not text"))?.to_owned();
        let last = *flags & FLAG_LAST != 0;
        let record = Self { flow: word(0), sequence: word(8), last, name, length: payload.len() };
        if !record_stream(record.flow, record.sequence, direction, payload.len()).matches(payload) {
            return Err(corrupt("payload differs from what was sent"));
        }
        Ok(record)
    }
}

/// Length of the body that follows this prefix.
pub(crate) fn body_length(prefix: [u8; 4]) -> Result<usize, Failure> {
    let length = usize::try_from(u32::from_be_bytes(prefix)).unwrap_or(usize::MAX);
    if (HEAD..=BODY_LIMIT).contains(&length) {
        return Ok(length);
    }
    Err(Failure::new(Cause::Corrupt, format!("record length {length} is out of range")))
}

/// The client's side of the checks: answers come in order, and all from one server.
#[derive(Debug)]
pub(crate) struct AnswerCheck {
    flow: u64,
    expected: u64,
    server: Option<String>,
}

impl AnswerCheck {
    /// For a new connection.
    pub(crate) fn new(flow: u64) -> Self {
        Self { flow, expected: 0, server: None }
    }

    /// Who answered so far.
    pub(crate) fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// Checks one answer against the request it belongs to.
    pub(crate) fn accept(&mut self, answer: Record, requested: usize) -> Result<(), Failure> {
        if (answer.flow, answer.sequence) != (self.flow, self.expected) {
            let detail = format!(
                "answer {}/{} where {}/{} was due",
                answer.flow, answer.sequence, self.flow, self.expected
            );
            return Err(Failure::new(Cause::Corrupt, detail));
        }
        if answer.length != requested {
            let detail = format!("answer of {} bytes, {requested} were due", answer.length);
            return Err(Failure::new(Cause::Corrupt, detail));
        }
        self.expected += 1;
        match &self.server {
            Some(server) if *server != answer.name => {
                let detail = format!("{} answered, before it was {server}", answer.name);
                Err(Failure::new(Cause::WrongServer, detail))
            }
            Some(_) => Ok(()),
            None => {
                self.server = Some(answer.name);
                Ok(())
            }
        }
    }
}

/// The server's side of the checks: one flow a connection, its records in order.
#[derive(Debug, Default)]
pub(crate) struct RequestCheck {
    flow: Option<u64>,
    expected: u64,
}

impl RequestCheck {
    /// Checks one request and gives its answer.
    pub(crate) fn answer(&mut self, request: &Record, name: &str) -> Result<Record, Failure> {
        let flow = *self.flow.get_or_insert(request.flow);
        if (request.flow, request.sequence) != (flow, self.expected) {
            let detail = format!(
                "record {}/{} where {flow}/{} was due",
                request.flow, request.sequence, self.expected
            );
            return Err(Failure::new(Cause::Corrupt, detail));
        }
        self.expected += 1;
        Ok(Record { name: name.to_owned(), ..request.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(sequence: u64) -> Record {
        Record { flow: 9, sequence, last: false, name: String::new(), length: 20 }
    }

    #[test]
    fn a_record_survives_the_wire_and_a_flipped_bit_does_not() {
        let record = Record { name: "s1".to_owned(), last: true, ..request(4) };
        let mut frame = Vec::new();
        record.frame_into(Direction::Response, &mut frame);
        let (prefix, body) = frame.split_at(4);
        let length = body_length(prefix.try_into().expect("4 bytes")).expect("length");
        assert_eq!(length, body.len());
        assert_eq!(Record::parse(body, Direction::Response).expect("whole"), record);
        assert!(Record::parse(body, Direction::Request).is_err());
        // The flags (byte 16) and the name (18, 19) are covered by other checks, not by the payload.
        for at in (0..body.len()).filter(|at| !(16..20).contains(at)) {
            let mut changed = body.to_vec();
            changed[at] ^= 0x10;
            assert!(Record::parse(&changed, Direction::Response).is_err(), "byte {at}");
        }
        // A payload of a byte or two can match by chance; the frame's length covers those cuts.
        for end in (0..body.len()).filter(|end| !(20..24).contains(end)) {
            assert!(Record::parse(&body[..end], Direction::Response).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn lengths_out_of_range_are_refused() {
        assert!(body_length([0, 0, 0, 17]).is_err());
        assert!(body_length([0xff; 4]).is_err());
    }

    #[test]
    fn the_server_refuses_gaps_and_strangers() {
        let mut check = RequestCheck::default();
        assert_eq!(check.answer(&request(0), "s").expect("first").name, "s");
        assert!(check.answer(&request(2), "s").is_err());
        assert!(check.answer(&Record { flow: 8, ..request(1) }, "s").is_err());
        assert!(check.answer(&request(1), "s").is_ok());
    }

    #[test]
    fn the_client_notices_another_server() {
        let mut check = AnswerCheck::new(9);
        let answer = |sequence, name: &str| Record { name: name.to_owned(), ..request(sequence) };
        check.accept(answer(0, "a"), 20).expect("first");
        assert_eq!(check.server(), Some("a"));
        assert_eq!(check.accept(answer(1, "b"), 20).expect_err("b").cause, Cause::WrongServer);
        assert_eq!(check.accept(answer(2, "a"), 19).expect_err("length").cause, Cause::Corrupt);
        assert_eq!(check.accept(answer(1, "a"), 20).expect_err("again").cause, Cause::Corrupt);
    }
}
