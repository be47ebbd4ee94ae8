//! A director's refusal in ipvsadm's words.

use std::path::Path;

use crate::client::{Fault, Issue, PATH_VARIABLE, Refusal};
use crate::command_line::{Failure, MISUSE, Verb};

/// IPVS: EINVAL, two blanks included.
const INVALID: &str = "Invalid operation.  Possibly wrong module version, address not unicast, ...";

/// How the message begins that no director answers.
pub(crate) const UNREACHABLE: &str = "Can't initialize ipvs";
/// The scheduler or persistence engine has no such name.
pub(crate) const NO_SUCH_NAME: &str = "Scheduler or persistence engine not found";
/// There is no such service.
pub(crate) const NO_SUCH_SERVICE: &str = "No such service";
/// There is no such server.
pub(crate) const NO_SUCH_SERVER: &str = "No such destination";
/// The service is there.
pub(crate) const SERVICE_EXISTS: &str = "Service already exists";

/// What to say about a fault.
#[must_use]
pub fn failure(fault: &Fault, verb: Verb, path: &Path) -> Failure {
    match fault {
        Fault::Lost(error) => unreachable(path, error),
        Fault::Refused(refusal) => refused(refusal, verb),
    }
}

/// No director answers.
#[must_use]
pub fn unreachable(path: &Path, error: &std::io::Error) -> Failure {
    use std::io::ErrorKind;
    let what = match error.kind() {
        ErrorKind::NotFound => "No such file or directory".to_owned(),
        ErrorKind::PermissionDenied => "Permission denied (you must be root)".to_owned(),
        ErrorKind::ConnectionRefused => "Connection refused".to_owned(),
        _ => error.to_string(),
    };
    let path = path.display();
    Failure {
        status: MISUSE,
        message: format!(
            "{UNREACHABLE}: {what}\n\
             Is a director running that serves its control socket at {path}? \
             {PATH_VARIABLE} names another one.\n"
        ),
        ends_restore: true,
    }
}

/// What only a director refuses, of addresses: the message names the setting that has it do so.
fn strict(refusal: &Refusal) -> Option<&str> {
    let named = refusal.issues.iter().find(|issue| issue.message.contains("strictAddresses"));
    named.map(|issue| issue.message.as_str())
}

/// The kernel judges in this order; what is further behind is not looked at.
fn refused(refusal: &Refusal, verb: Verb) -> Failure {
    let has = |code: &str| {
        refusal.code.strip_prefix("ERR_DIRECTOR_") == Some(code)
            || refusal
                .issues
                .iter()
                .any(|issue| issue.code.strip_prefix("ERR_DIRECTOR_") == Some(code))
    };
    let of_server = matches!(verb, Verb::AddServer | Verb::EditServer | Verb::DeleteServer);
    let thresholds = refusal.issues.iter().any(|issue| issue.field.ends_with("lowerThreshold"));
    let own;
    let message = if has("SERVICE_NOT_FOUND") {
        if of_server { "Service not defined" } else { NO_SUCH_SERVICE }
    } else if has("SERVICE_EXISTS") {
        SERVICE_EXISTS
    } else if thresholds {
        "Numerical result out of range"
    } else if has("SERVER_EXISTS") {
        "Destination already exists"
    } else if has("SERVER_NOT_FOUND") {
        NO_SUCH_SERVER
    } else if has("INVALID_ADDRESS") {
        strict(refusal).unwrap_or(INVALID)
    } else if has("CONTROL_DENIED") {
        "Permission denied (you must be root)"
    } else {
        // A director is stricter here than the kernel, which has no words for it.
        own = in_own_words(refusal);
        &own
    };
    Failure::refused(message)
}

/// All problems. A command line is no batch: where a field stands in one is left out.
fn in_own_words(refusal: &Refusal) -> String {
    let problems: Vec<String> = refusal.issues.iter().map(problem).collect();
    if problems.is_empty() { refusal.message.clone() } else { problems.join("; ") }
}

fn problem(Issue { field, message, .. }: &Issue) -> String {
    let name = field.rsplit('.').next().unwrap_or_default();
    let whole = name.is_empty() || name.starts_with("commands[") || message.contains(name);
    if whole || matches!(name, "service" | "server") {
        return message.clone();
    }
    format!("{name}: {message}")
}
