//! Command line: `--key value` pairs and lone `--flag`s, each asked for by name and type.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

use crate::record::PAYLOAD_LIMIT;

/// A command line that cannot be used; the text says which option and what it takes.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum OptionError {
    #[error("{word:?} is not an option; options look like --name VALUE")]
    NotAnOption { word: String },
    #[error("--{name} is given twice")]
    Twice { name: String },
    #[error("--{name} is missing; it takes {takes}")]
    Missing { name: &'static str, takes: &'static str },
    #[error("--{name} {value:?} is not valid; it takes {takes}")]
    Invalid { name: &'static str, value: String, takes: &'static str },
    #[error("this program does not take: {names}")]
    Unknown { names: String },
}

/// The options of one program. Each is taken out once; what is left at the end is unknown.
#[derive(Debug)]
pub(crate) struct Options {
    values: BTreeMap<String, Option<String>>,
}

impl Options {
    /// Reads the words after the program's name.
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self, OptionError> {
        let mut values = BTreeMap::new();
        let mut words = words.peekable();
        while let Some(word) = words.next() {
            let Some(name) = word.strip_prefix("--").filter(|name| !name.is_empty()) else {
                return Err(OptionError::NotAnOption { word });
            };
            let value = words.next_if(|next| !next.starts_with("--"));
            if values.insert(name.to_owned(), value).is_some() {
                return Err(OptionError::Twice { name: name.to_owned() });
            }
        }
        Ok(Self { values })
    }

    /// Whether the lone flag was given.
    pub(crate) fn flag(&mut self, name: &'static str) -> Result<bool, OptionError> {
        match self.values.remove(name) {
            None => Ok(false),
            Some(None) => Ok(true),
            Some(Some(value)) => {
                Err(OptionError::Invalid { name, value, takes: "no value: it is a flag" })
            }
        }
    }

    /// The value, or nothing when the option was not given.
    pub(crate) fn get<T: FromStr>(
        &mut self,
        name: &'static str,
        takes: &'static str,
    ) -> Result<Option<T>, OptionError> {
        match self.values.remove(name) {
            None => Ok(None),
            Some(None) => Err(OptionError::Missing { name, takes }),
            Some(Some(value)) => match value.parse() {
                Ok(parsed) => Ok(Some(parsed)),
                Err(_) => Err(OptionError::Invalid { name, value, takes }),
            },
        }
    }

    /// The value of an option that must be given.
    pub(crate) fn require<T: FromStr>(
        &mut self,
        name: &'static str,
        takes: &'static str,
    ) -> Result<T, OptionError> {
        self.get(name, takes)?.ok_or(OptionError::Missing { name, takes })
    }

    /// A positive whole number, or `default`.
    pub(crate) fn count(&mut self, name: &'static str, default: u64) -> Result<u64, OptionError> {
        let takes = "a whole number, 1 or more";
        match self.get::<u64>(name, takes)? {
            None => Ok(default),
            Some(0) => Err(OptionError::Invalid { name, value: "0".to_owned(), takes }),
            Some(count) => Ok(count),
        }
    }

    /// `--payload-bytes`: longest payload of a record in bytes, 1 to 1,000,000.
    pub(crate) fn payload_bytes(&mut self, default: u64) -> Result<usize, OptionError> {
        let (name, takes) = ("payload-bytes", "a number of bytes, 1 to 1000000");
        let bytes = self.count(name, default)?;
        usize::try_from(bytes)
            .ok()
            .filter(|bytes| *bytes <= PAYLOAD_LIMIT)
            .ok_or_else(|| OptionError::Invalid { name, value: bytes.to_string(), takes })
    }

    /// A time in milliseconds, 1 or more, or `default`.
    pub(crate) fn millis(
        &mut self,
        name: &'static str,
        default: u64,
    ) -> Result<Duration, OptionError> {
        Ok(Duration::from_millis(self.count(name, default)?))
    }

    /// A required comma-separated list of `ADDRESS:PORT`.
    pub(crate) fn socket_addresses(
        &mut self,
        name: &'static str,
    ) -> Result<Vec<SocketAddr>, OptionError> {
        let takes = "ADDRESS:PORT or [ADDRESS]:PORT, several joined by commas";
        let text: String = self.require(name, takes)?;
        parse_list(name, &text, takes)
    }

    /// `--source`: the local addresses to connect from, used in turn; empty leaves it to the kernel.
    pub(crate) fn sources(&mut self, peer: SocketAddr) -> Result<Vec<IpAddr>, OptionError> {
        let (name, takes) = ("source", "local addresses of the peer's family, joined by commas");
        let Some(text) = self.get::<String>(name, takes)? else { return Ok(Vec::new()) };
        let sources: Vec<IpAddr> = parse_list(name, &text, takes)?;
        if sources.iter().any(|source| source.is_ipv4() != peer.is_ipv4()) {
            return Err(OptionError::Invalid { name, value: text, takes });
        }
        Ok(sources)
    }

    /// Fails when an option is left that the program never asked for.
    pub(crate) fn finish(self) -> Result<(), OptionError> {
        if self.values.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = self.values.keys().map(|name| format!("--{name}")).collect();
        Err(OptionError::Unknown { names: names.join(", ") })
    }
}

fn parse_list<T: FromStr>(
    name: &'static str,
    text: &str,
    takes: &'static str,
) -> Result<Vec<T>, OptionError> {
    text.split(',')
        .map(|part| {
            part.parse().map_err(|_| OptionError::Invalid { name, value: part.to_owned(), takes })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Options {
        Options::parse(line.split_whitespace().map(str::to_owned)).expect("valid options")
    }

    #[test]
    fn reads_values_flags_and_lists() {
        let mut options = options("--connect [::1]:80,127.0.0.1:81 --verify --count 7");
        let addresses = options.socket_addresses("connect").expect("addresses");
        assert_eq!(addresses.len(), 2);
        assert_eq!(options.flag("verify"), Ok(true));
        assert_eq!(options.flag("quiet"), Ok(false));
        assert_eq!(options.count("count", 1), Ok(7));
        assert_eq!(options.finish(), Ok(()));
    }

    #[test]
    fn names_the_option_that_is_wrong() {
        let error = options("--count none").count("count", 1).expect_err("not a number");
        assert!(error.to_string().contains("--count \"none\""), "{error}");
        let error = options("--rate 5").finish().expect_err("unknown");
        assert_eq!(error.to_string(), "this program does not take: --rate");
        let error = options("").socket_addresses("listen").expect_err("missing");
        assert!(error.to_string().starts_with("--listen is missing"), "{error}");
        assert!(Options::parse(["x".to_owned()].into_iter()).is_err());
    }

    #[test]
    fn a_source_of_the_other_family_is_refused() {
        let peer = "10.0.0.1:80".parse().expect("address");
        assert!(options("--source fd00::1").sources(peer).is_err());
    }
}
