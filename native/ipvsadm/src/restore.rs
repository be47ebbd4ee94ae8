//! `-R`: a command a line.

use std::io::{BufRead, Read as _, Write};

use engine::command::Command;

use crate::command_line::{Failure, Invocation, Verb, Wish, read};
use crate::session::Session;

/// Longest line.
const LINE_MAX: u64 = 65_536;
/// Changes that go to the director together.
const BATCH: usize = 512;

/// Carries out the commands on `input`, and answers with the exit status of the last one. What the
/// director refuses is told and left out; a line that means nothing, a comment too, ends everything (IPVS).
pub(crate) fn restore(
    session: &mut Session,
    program: &str,
    input: &mut dyn BufRead,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let mut restore = Restore { session, program, waiting: Vec::new(), status: 0, out, err };
    loop {
        let mut text = Vec::new();
        let length = match (&mut *input).take(LINE_MAX).read_until(b'\n', &mut text) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) => {
                restore.flush();
                let message = format!("the rules could not be read: {error}");
                return restore.tell(&Failure::misuse(message));
            }
        };
        if length as u64 == LINE_MAX && text.last() != Some(&b'\n') {
            restore.flush();
            let message = format!("line of more than {LINE_MAX} octets");
            return restore.tell(&Failure::misuse(message));
        }
        if let Err(failure) = restore.line(&String::from_utf8_lossy(&text)) {
            return restore.tell(&failure);
        }
    }
    restore.flush();
    restore.status
}

/// Whether the table is looked at before a change is sent.
fn needs_table(wanted: &Invocation) -> bool {
    let other_port = wanted.server.port != wanted.service.port;
    let names_server = matches!(wanted.verb, Verb::EditServer | Verb::DeleteServer);
    names_server && other_port || crate::request::command(wanted).is_err()
}

/// A change that was read and not sent yet.
struct Waiting {
    command: Command,
    verb: Verb,
}

struct Restore<'a> {
    session: &'a mut Session,
    program: &'a str,
    waiting: Vec<Waiting>,
    status: u8,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
}

impl Restore<'_> {
    /// One line; its failure is given back when it ends the restore.
    fn line(&mut self, text: &str) -> Result<(), Failure> {
        // IPVS: the program's name is dropped wherever it stands; nothing quotes.
        let words: Vec<String> =
            text.split_whitespace().filter(|word| *word != "ipvsadm").map(str::to_owned).collect();
        if words.is_empty() {
            return Ok(());
        }
        let wish = read(self.program, &words).inspect_err(|_| self.flush())?;
        let done = match &wish {
            Wish::Command(wanted) if wanted.verb == Verb::Restore => Ok(()),
            Wish::Command(wanted) => self.command(wanted, &wish),
            _ => self.perform(&wish),
        };
        match done {
            Err(failure) if failure.ends_restore => Err(failure),
            Err(failure) => {
                self.tell(&failure);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn command(&mut self, wanted: &Invocation, wish: &Wish) -> Result<(), Failure> {
        if needs_table(wanted) {
            // What is there decides what is said.
            self.flush();
        }
        let Some(command) = self.session.change(wanted)? else { return self.perform(wish) };
        self.waiting.push(Waiting { command, verb: wanted.verb });
        if self.waiting.len() >= BATCH {
            self.flush();
        }
        Ok(())
    }

    fn perform(&mut self, wish: &Wish) -> Result<(), Failure> {
        self.flush();
        self.status = 0;
        self.session.perform(self.program, wish, self.out)
    }

    /// Sends what waits: together, and if that is refused one after the other.
    fn flush(&mut self) {
        let waiting = core::mem::take(&mut self.waiting);
        let Some(Waiting { verb, .. }) = waiting.last() else { return };
        let together: Vec<Command> = waiting.iter().map(|it| it.command.clone()).collect();
        self.status = 0;
        if waiting.len() > 1 && self.session.apply(&together, *verb).is_ok() {
            return;
        }
        for Waiting { command, verb } in waiting {
            self.status = 0;
            if let Err(failure) = self.session.apply(&[command], verb) {
                self.tell(&failure);
                if failure.ends_restore {
                    return;
                }
            }
        }
    }

    fn tell(&mut self, failure: &Failure) -> u8 {
        // What cannot be written is told at the end, if anybody is left to be told.
        let _unwritten = self.out.flush();
        let _gone = self.err.write_all(failure.message.as_bytes());
        self.status = failure.status;
        failure.status
    }
}
