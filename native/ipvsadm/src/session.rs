//! From words to an exit status.

use std::io::{BufRead, Error, ErrorKind, Write};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use engine::command::{Command, ServiceKey};
use serde_json::{Value, json};

use crate::client::Client;
use crate::command_line::{Failure, Invocation, Opt, Verb, Wish, read};
use crate::listing::{self, Columns, Layout, Naming};
use crate::names::Names;
use crate::refusal::{self, NO_SUCH_NAME, NO_SUCH_SERVER, NO_SUCH_SERVICE, SERVICE_EXISTS};
use crate::request::{self, Unsupported};
use crate::table::{Page, Service, Snapshot};
use crate::{extras, restore};

/// Exit status of a listing that failed.
const LISTING_FAILED: u8 = 1;
/// First line of a listing of everything; the size is that of IPVS's connection table.
const HEADER: &str = "IP Virtual Server version 1.2.1 (size=4096)\n";
/// Connections asked for at a time.
const PAGE_ROWS: u32 = 4096;

/// Runs the command of `words`, the program's name first, and answers with its exit status.
pub fn run(
    words: &[String],
    input: &mut dyn BufRead,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let program = words.first().map_or("ipvsadm", String::as_str);
    let list = ["-L".to_owned()];
    let given = words.get(1..).filter(|given| !given.is_empty()).unwrap_or(&list);
    let mut session = Session { client: None, path: Client::path() };
    let done = read(program, given).and_then(|wish| match wish {
        Wish::Command(wanted) if wanted.verb == Verb::Restore => {
            Ok(restore::restore(&mut session, program, input, out, err))
        }
        wish => session.perform(program, &wish, out).map(|()| 0),
    });
    let written = out.flush().map_err(|error| unwritten(&error));
    match done.and_then(|status| written.map(|()| status)) {
        Ok(status) => status,
        Err(failure) => {
            // Nobody is left to tell when there is no standard error.
            let _gone = err.write_all(failure.message.as_bytes());
            failure.status
        }
    }
}

/// A connection to the director, made when it is needed.
pub(crate) struct Session {
    client: Option<Client>,
    path: PathBuf,
}

impl Session {
    /// Does what a command line asks for, except `-R`.
    pub(crate) fn perform(
        &mut self,
        program: &str,
        wish: &Wish,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        match wish {
            Wish::Help => show(out, &extras::help(program)),
            Wish::Version => show(out, extras::VERSION),
            Wish::Command(wanted) => self.command(wanted, out),
        }
    }

    /// Applies changes, all or none.
    pub(crate) fn apply(&mut self, commands: &[Command], verb: Verb) -> Result<(), Failure> {
        let commands: Vec<Value> = commands.iter().map(request::to_json).collect();
        self.call::<Value>("apply", &json!({ "commands": commands }), verb).map(|_| ())
    }

    /// The change that a command line asks for, if it asks for one.
    pub(crate) fn change(&mut self, wanted: &Invocation) -> Result<Option<Command>, Failure> {
        match request::command(wanted) {
            Ok(command) => {
                self.exact_server(wanted)?;
                Ok(command)
            }
            Err(unsupported) => Err(self.unsupported(wanted, unsupported)?),
        }
    }

    fn command(&mut self, wanted: &Invocation, out: &mut dyn Write) -> Result<(), Failure> {
        if let Some(command) = self.change(wanted)? {
            return self.apply(&[command], wanted.verb);
        }
        match wanted.verb {
            Verb::List => self.listings(wanted, out),
            Verb::Save => self.save(wanted, out),
            Verb::Zero => self.zero(wanted),
            Verb::StopDaemon => Err(Failure::refused("No daemon is running")),
            Verb::StartDaemon => Err(Failure::refused(
                "A director has no synchronisation daemon: directors with the same configuration \
                 place and adopt connections alike without one",
            )),
            _ => Ok(()),
        }
    }

    fn call<T: serde::de::DeserializeOwned>(
        &mut self,
        method: &str,
        params: &Value,
        verb: Verb,
    ) -> Result<T, Failure> {
        let client = match &mut self.client {
            Some(client) => client,
            none => {
                let client = Client::connect(&self.path)
                    .map_err(|error| refusal::unreachable(&self.path, &error))?;
                none.insert(client)
            }
        };
        client.call(method, params).map_err(|fault| refusal::failure(&fault, verb, &self.path))
    }

    /// Everything, or of the services only the one that a command line names.
    fn snapshot(&mut self, wanted: &Invocation) -> Result<Snapshot, Failure> {
        self.call("snapshot", &named_service(wanted), wanted.verb)
    }

    /// The kernel looks for the service before it looks for the names in it.
    fn unsupported(
        &mut self,
        wanted: &Invocation,
        unsupported: Unsupported,
    ) -> Result<Failure, Failure> {
        let exists = self.service(wanted)?.is_some();
        let message = match (wanted.verb, exists, unsupported) {
            (Verb::AddService, true, _) => SERVICE_EXISTS,
            (Verb::EditService, false, _) => NO_SUCH_SERVICE,
            (_, _, Unsupported::Name) => NO_SUCH_NAME,
            (_, _, Unsupported::Netmask) => {
                "A director needs a netmask of ones followed by zeros, such as 255.255.255.0"
            }
        };
        Ok(Failure::refused(message))
    }

    /// IPVS: a server is the one with that very port, whatever becomes of ports on the way to it.
    fn exact_server(&mut self, wanted: &Invocation) -> Result<(), Failure> {
        let (service, server) = (&wanted.service, &wanted.server);
        let names_server = matches!(wanted.verb, Verb::EditServer | Verb::DeleteServer);
        if !names_server || service.mark > 0 || server.port == service.port {
            return Ok(());
        }
        let found = self.service(wanted)?;
        let twin = found.is_none_or(|service| {
            service.servers.iter().any(|it| (it.address, it.port) == (server.address, server.port))
        });
        if twin { Ok(()) } else { Err(Failure::refused(NO_SUCH_SERVER)) }
    }

    /// The service that a command line names, if there is one.
    fn service(&mut self, wanted: &Invocation) -> Result<Option<Service>, Failure> {
        let key = request::service_key(&wanted.service);
        let services = self.snapshot(wanted)?.into_services();
        Ok(services.into_iter().find(|service| service.key == key))
    }

    fn zero(&mut self, wanted: &Invocation) -> Result<(), Failure> {
        if wanted.given.has(Opt::Service) && self.service(wanted)?.is_none() {
            return Err(Failure::refused(NO_SUCH_SERVICE));
        }
        self.call::<Value>("zero", &named_service(wanted), wanted.verb).map(|_| ())
    }

    fn save(&mut self, wanted: &Invocation, out: &mut dyn Write) -> Result<(), Failure> {
        let mut services = self.snapshot(wanted)?.into_services();
        let full = wanted.given.has(Opt::Full);
        if !full {
            listing::order::sort(&mut services);
        }
        show(out, &listing::save(&services, &naming(wanted), full))
    }

    fn listings(&mut self, wanted: &Invocation, out: &mut dyn Write) -> Result<(), Failure> {
        loop {
            self.list(wanted, out)?;
            if !wanted.given.has(Opt::Watch) {
                return Ok(());
            }
            out.flush().map_err(|error| unwritten(&error))?;
            sleep(Duration::from_secs(u64::from(wanted.watch_seconds)));
            if !wanted.given.has(Opt::Json) {
                show(out, "\x1b[H\x1b[2J")?;
            }
        }
    }

    fn list(&mut self, wanted: &Invocation, out: &mut dyn Write) -> Result<(), Failure> {
        let as_json = wanted.given.has(Opt::Json);
        if wanted.given.has(Opt::Connection) {
            return self.connections(wanted, out);
        }
        if wanted.given.has(Opt::Daemon) {
            return show(out, if as_json { "{\"daemons\":[]}\n" } else { "" });
        }
        let snapshot = self.snapshot(wanted)?;
        if wanted.given.has(Opt::Timeout) {
            let timeouts = snapshot.timeouts();
            let text = if as_json { line(&json!(timeouts)) } else { listing::timeouts(timeouts) };
            return show(out, &text);
        }
        let mut services = snapshot.into_services();
        if wanted.given.has(Opt::Service) {
            let key = request::service_key(&wanted.service);
            only(&mut services, &key)?;
        }
        if !wanted.given.has(Opt::NoSort) {
            listing::order::sort(&mut services);
        }
        if as_json {
            return show(out, &line(&json!({ "services": services })));
        }
        let layout = layout(wanted);
        let header = if wanted.given.has(Opt::Service) { "" } else { HEADER };
        show(out, header)?;
        show(out, listing::title(layout.columns))?;
        show(out, &listing::services(&services, &layout))
    }

    fn connections(&mut self, wanted: &Invocation, out: &mut dyn Write) -> Result<(), Failure> {
        let as_json = wanted.given.has(Opt::Json);
        let naming = naming(wanted);
        let persistent = wanted.given.has(Opt::PersistentConn);
        let mut cursor = Some(0);
        if !as_json {
            show(out, &listing::connections_title(persistent))?;
        }
        while let Some(from) = cursor {
            let params = json!({ "cursor": from, "limit": PAGE_ROWS });
            let page: Page = self.call("connections", &params, wanted.verb)?;
            let text = if as_json {
                page.rows.iter().map(|row| line(&json!(row))).collect()
            } else {
                listing::connections(&page.rows, &naming, persistent)
            };
            show(out, &text)?;
            cursor = page.cursor;
        }
        Ok(())
    }
}

/// Parameters that name the service of a command line, if it has one.
fn named_service(wanted: &Invocation) -> Value {
    if wanted.given.has(Opt::Service) {
        json!({ "service": request::key_to_json(&request::service_key(&wanted.service)) })
    } else {
        json!({})
    }
}

fn only(services: &mut Vec<Service>, key: &ServiceKey) -> Result<(), Failure> {
    services.retain(|service| service.key == *key);
    if services.is_empty() {
        return Err(Failure { status: LISTING_FAILED, ..Failure::refused(NO_SUCH_SERVICE) });
    }
    Ok(())
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}

/// IPVS: the first of these that was given decides.
fn layout(wanted: &Invocation) -> Layout {
    let columns = [
        (Opt::Stats, Columns::Stats),
        (Opt::Rate, Columns::Rate),
        (Opt::Thresholds, Columns::Thresholds),
        (Opt::PersistentConn, Columns::Persistent),
        (Opt::TunInfo, Columns::Tunnels),
    ];
    let chosen = columns.into_iter().find(|(option, _)| wanted.given.has(*option));
    Layout {
        columns: chosen.map_or(Columns::Plain, |(_, columns)| columns),
        exact: wanted.given.has(Opt::Exact),
        naming: naming(wanted),
    }
}

fn naming(wanted: &Invocation) -> Naming {
    if wanted.given.has(Opt::Numeric) { Naming::numeric() } else { Naming::named(Names::of_host()) }
}

fn show(out: &mut dyn Write, text: &str) -> Result<(), Failure> {
    out.write_all(text.as_bytes()).map_err(|error| unwritten(&error))
}

/// Output that cannot be written. A reader that went away is no failure, as with any command in a
/// pipe; it ends what is shown.
fn unwritten(error: &Error) -> Failure {
    let (status, message) = match error.kind() {
        ErrorKind::BrokenPipe => (0, String::new()),
        _ => (LISTING_FAILED, format!("the output could not be written: {error}\n")),
    };
    Failure { status, message, ends_restore: true }
}
