//! Answers to JavaScript: a value, or why there is none.

use director::event::Event;
use director::{ApplyError, StartError};
use engine::command::Issue;
use napi::{Error, Result, Status};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A refusal: its stable code, what to do, and the problems of commands.
#[derive(Debug, Serialize)]
pub(crate) struct Refusal {
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    issues: Vec<Issue>,
}

impl Refusal {
    /// A refusal without problems of commands.
    pub(crate) const fn new(code: &'static str, message: String) -> Self {
        Self { code, message, issues: Vec::new() }
    }

    /// A refusal of an argument.
    pub(crate) fn invalid(error: &dyn std::fmt::Display) -> Self {
        Self::new("invalid-options", error.to_string())
    }
}

impl From<Vec<Issue>> for Refusal {
    fn from(issues: Vec<Issue>) -> Self {
        Self { code: "invalid-options", message: "commands were refused".to_owned(), issues }
    }
}

impl From<ApplyError> for Refusal {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Invalid(issues) => issues.into(),
            other => Self::new(other.code(), advised(&other, other.remedy())),
        }
    }
}

impl From<StartError> for Refusal {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Apply(error) => error.into(),
            other => Self::new(other.code(), advised(&other, other.remedy())),
        }
    }
}

/// What is wrong, and what to do about it.
fn advised(error: &dyn std::error::Error, remedy: &str) -> String {
    format!("{error}; {remedy}")
}

/// An answer as JavaScript gets it: `{"value": …}` or `{"error": …}`.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome<T> {
    Value(T),
    Error(Refusal),
}

/// The text of an answer.
pub(crate) fn outcome<T: Serialize>(result: std::result::Result<T, Refusal>) -> Result<String> {
    to_text(&match result {
        Ok(value) => Outcome::Value(value),
        Err(refusal) => Outcome::Error(refusal),
    })
}

/// Values cross as text: those that napi makes one by one are slower, and at most a million.
pub(crate) fn to_text<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| internal(&error))
}

/// The text of events; none when nothing happened, as after most frames.
pub(crate) fn told(events: &[Event]) -> Result<Option<String>> {
    (!events.is_empty()).then(|| to_text(&events)).transpose()
}

/// A value from its text. The TypeScript side has checked its shape.
pub(crate) fn from_text<T: DeserializeOwned>(text: &str) -> std::result::Result<T, Refusal> {
    serde_json::from_str(text).map_err(|error| Refusal::invalid(&error))
}

/// The exception for what only a defect of the package can cause.
pub(crate) fn internal(error: &dyn std::fmt::Display) -> Error {
    Error::new(Status::GenericFailure, error.to_string())
}
