//! The control socket: one request, one answer, in turn.

use std::io::{BufRead as _, BufReader, Error, ErrorKind, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Where a director's control socket is, unless the environment says otherwise.
pub const DEFAULT_PATH: &str = "/run/l4-director/control.sock";
/// The variable of the environment that says where the control socket is.
pub const PATH_VARIABLE: &str = "L4_DIRECTOR_CONTROL";
/// Version of the protocol.
const VERSION: u64 = 1;

/// Why there is no result.
#[derive(Debug)]
pub enum Fault {
    /// The director refused.
    Refused(Refusal),
    /// The connection is of no use.
    Lost(Error),
}

/// A refusal of the director.
#[derive(Clone, Debug, Deserialize)]
pub struct Refusal {
    /// Stable name.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// Each problem.
    #[serde(default)]
    pub issues: Vec<Issue>,
}

/// One problem.
#[derive(Clone, Debug, Deserialize)]
pub struct Issue {
    /// Stable name.
    pub code: String,
    /// Which field.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

/// A connection to a director.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    line: Vec<u8>,
    id: u64,
}

#[derive(Deserialize)]
struct Answer<T> {
    result: Option<T>,
    error: Option<Refusal>,
}

impl Client {
    /// Where the environment says the socket is.
    #[must_use]
    pub fn path() -> PathBuf {
        let given = std::env::var_os(PATH_VARIABLE).filter(|path| !path.is_empty());
        given.map_or_else(|| PathBuf::from(DEFAULT_PATH), PathBuf::from)
    }

    /// Connects.
    ///
    /// # Errors
    /// The system's.
    pub fn connect(path: &std::path::Path) -> Result<Self, Error> {
        let stream = BufReader::with_capacity(1 << 16, UnixStream::connect(path)?);
        Ok(Self { stream, line: Vec::new(), id: 0 })
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// The director's refusal, or what is wrong with the connection.
    pub fn call<T: DeserializeOwned>(&mut self, method: &str, params: &Value) -> Result<T, Fault> {
        self.exchange(method, params).map_err(Fault::Lost)?;
        let answer: Answer<T> =
            serde_json::from_slice(&self.line).map_err(|error| Fault::Lost(error.into()))?;
        match (answer.result, answer.error) {
            (_, Some(refusal)) => Err(Fault::Refused(refusal)),
            (Some(result), None) => Ok(result),
            (None, None) => Err(Fault::Lost(ErrorKind::InvalidData.into())),
        }
    }

    fn exchange(&mut self, method: &str, params: &Value) -> Result<(), Error> {
        self.id += 1;
        let request =
            json!({"version": VERSION, "id": self.id, "method": method, "params": params});
        let mut text = serde_json::to_vec(&request)?;
        text.push(b'\n');
        // One that was sent away before it asked still has the reason to read.
        let sent = self.stream.get_mut().write_all(&text);
        self.line.clear();
        let length = self.stream.read_until(b'\n', &mut self.line)?;
        if length == 0 {
            sent?;
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}
