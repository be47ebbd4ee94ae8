//! Judging a command against the configuration it would change; nothing is changed here.

mod address;
mod globals;
mod server;
mod service;
mod tunnel;

use super::Configuration;
use super::findings::Findings;
use crate::command::Command;

/// Reports everything that is wrong with `command`.
pub(super) fn check(now: &Configuration, command: &Command, findings: &mut Findings) {
    match command {
        Command::AddService { service } => service::addition(now, service, findings),
        Command::EditService { service } => service::edit(now, service, findings),
        Command::RemoveService { service } => service::known(now, service, findings),
        Command::Clear => {}
        Command::AddServer { service, server } => server::addition(now, service, server, findings),
        Command::EditServer { service, server } => server::edit(now, service, server, findings),
        Command::SetWeight { service, server, weight } => {
            server::known(now, service, server, findings);
            server::weight(*weight, findings);
        }
        Command::RemoveServer { service, server } => {
            server::known(now, service, server, findings);
        }
        Command::DefineMark { mark, matches } => globals::mark(*mark, matches, findings),
        Command::Settings { settings } => globals::settings(settings, findings),
    }
}
