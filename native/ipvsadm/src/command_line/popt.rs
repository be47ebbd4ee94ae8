//! Words to options, the way popt does it for ipvsadm: long options with `=` or a word of their own,
//! short ones in groups, words that are no options anywhere.

use super::options::{OPTIONS, Tag};

/// Whether an option takes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// It takes none.
    None,
    /// It needs one: the rest of its word, or the next word, whatever that is.
    Required,
    /// It takes the rest of its word, or the next word unless that begins with `-`.
    Optional,
}

/// What is known about an option.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// Name behind `--`.
    pub long: &'static str,
    /// Letter behind `-`, if it has one.
    pub short: Option<char>,
    /// Whether it takes a value.
    pub value: Value,
    /// Which option it is.
    pub tag: Tag,
}

/// Why words cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no such option.
    Unknown,
    /// A value is missing.
    MissingValue,
    /// A value was given to an option that takes none.
    UnwantedValue,
}

impl Fault {
    /// The words popt has for it.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Unknown => "unknown option",
            Self::MissingValue => "missing argument",
            Self::UnwantedValue => "option does not take an argument",
        }
    }
}

/// Reads words option by option.
#[derive(Debug)]
pub struct Reader<'a> {
    words: &'a [String],
    next: usize,
    /// What is left of a group of short options.
    group: &'a str,
    rest_is_plain: bool,
    plain: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    /// A reader of the words behind the program's name.
    #[must_use]
    pub const fn new(words: &'a [String]) -> Self {
        Self { words, next: 0, group: "", rest_is_plain: false, plain: Vec::new() }
    }

    /// The next option with its value; none after the last word.
    ///
    /// # Errors
    /// What is wrong with the word that [`Self::word`] gives then.
    pub fn option(&mut self) -> Result<Option<(Tag, Option<&'a str>)>, Fault> {
        while self.group.is_empty() {
            let Some(word) = self.words.get(self.next) else { return Ok(None) };
            self.next += 1;
            if self.rest_is_plain || word == "-" || !word.starts_with('-') {
                self.plain.push(word);
            } else if word == "--" {
                self.rest_is_plain = true;
            } else if let Some(long) = word.strip_prefix("--") {
                return self.long(long).map(Some);
            } else {
                self.group = word.get(1..).unwrap_or_default();
            }
        }
        self.short().map(Some)
    }

    /// The word that was read last, as messages quote it.
    #[must_use]
    pub fn word(&self) -> &'a str {
        self.next.checked_sub(1).and_then(|last| self.words.get(last)).map_or("", String::as_str)
    }

    /// The words that are no options, in their order.
    #[must_use]
    pub fn into_plain(self) -> Vec<&'a str> {
        self.plain
    }

    fn long(&mut self, text: &'a str) -> Result<(Tag, Option<&'a str>), Fault> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (text, None),
        };
        let definition = OPTIONS.iter().find(|option| option.long == name).ok_or(Fault::Unknown)?;
        self.value(definition, value)
    }

    fn short(&mut self) -> Result<(Tag, Option<&'a str>), Fault> {
        let mut letters = self.group.chars();
        let letter = letters.next();
        let rest = letters.as_str();
        let found = OPTIONS.iter().find(|option| option.short.is_some() && option.short == letter);
        let Some(definition) = found else {
            self.group = "";
            return Err(Fault::Unknown);
        };
        if definition.value == Value::None && !rest.starts_with('=') {
            self.group = rest;
            return self.value(definition, None);
        }
        self.group = "";
        let attached = rest.strip_prefix('=').unwrap_or(rest);
        let given = rest.starts_with('=') || !attached.is_empty();
        self.value(definition, given.then_some(attached))
    }

    fn value(
        &mut self,
        definition: &Definition,
        attached: Option<&'a str>,
    ) -> Result<(Tag, Option<&'a str>), Fault> {
        let tag = definition.tag;
        match (definition.value, attached) {
            (Value::None, Some(_)) => Err(Fault::UnwantedValue),
            (Value::None, None) => Ok((tag, None)),
            (_, Some(value)) => Ok((tag, Some(value))),
            (Value::Required, None) => {
                self.take().map_or(Err(Fault::MissingValue), |value| Ok((tag, Some(value))))
            }
            (Value::Optional, None) => {
                let dashed = self.words.get(self.next).is_some_and(|word| word.starts_with('-'));
                Ok((tag, if dashed { None } else { self.take() }))
            }
        }
    }

    fn take(&mut self) -> Option<&'a str> {
        let word = self.words.get(self.next)?;
        self.next += 1;
        Some(word)
    }
}
