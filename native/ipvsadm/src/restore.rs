//! `-R`: a command a line.

use std::io::{BufRead, Read as _, Write};

use engine::command::Command;

use crate::command_line::{Failure, Invocation, REFUSED, Verb, Wish, read};
use crate::refusal::UNREACHABLE;
use crate::session::Session;

/// Longest line.
const LINE_MAX: u64 = 65_536;
/// Changes that go to the director together.
const BATCH: usize = 512;

/// Carries out the commands on `input`, and answers with the exit status of the last one. What the
/// director refuses is told with its line and left out; a line that means nothing ends everything.
/// Empty lines and those that begin with `#` are skipped, as Debian's `ipvsadm.rules` has them.
pub(crate) fn restore(
    session: &mut Session,
    program: &str,
    input: &mut dyn BufRead,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> u8 {
    let mut restore =
        Restore { session, program, number: 0, waiting: Vec::new(), status: 0, out, err };
    loop {
        let mut text = Vec::new();
        restore.number += 1;
        let length = match (&mut *input).take(LINE_MAX).read_until(b'\n', &mut text) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) => {
                restore.flush();
                let message = format!("the rules could not be read: {error}");
                return restore.tell(restore.number, &Failure::misuse(message));
            }
        };
        if length as u64 == LINE_MAX && text.last() != Some(&b'\n') {
            restore.flush();
            let message = format!("more than {LINE_MAX} octets");
            return restore.tell(restore.number, &Failure::misuse(message));
        }
        if let Err(failure) = restore.line(&String::from_utf8_lossy(&text)) {
            return restore.tell(restore.number, &failure);
        }
    }
    restore.flush();
    restore.status
}

fn no_command(word: &str) -> Failure {
    let message = format!("`{word}' is no command; a line begins with one, such as -A or -a\n");
    Failure { status: REFUSED, message, ends_restore: true }
}

/// Whether the table is looked at before a change is sent.
fn needs_table(wanted: &Invocation) -> bool {
    let other_port = wanted.server.port != wanted.service.port;
    let names_server = matches!(wanted.verb, Verb::EditServer | Verb::DeleteServer);
    names_server && other_port || crate::request::command(wanted).is_err()
}

/// A change that was read and not sent yet.
struct Waiting {
    number: usize,
    command: Command,
    verb: Verb,
}

struct Restore<'a> {
    session: &'a mut Session,
    program: &'a str,
    /// Of the line that was read last, from 1.
    number: usize,
    waiting: Vec<Waiting>,
    status: u8,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
}

impl Restore<'_> {
    /// One line; its failure is given back when it ends the restore.
    fn line(&mut self, text: &str) -> Result<(), Failure> {
        if text.trim_start().starts_with('#') {
            return Ok(());
        }
        // IPVS: the program's name is dropped wherever it stands; nothing quotes.
        let words: Vec<String> =
            text.split_whitespace().filter(|word| *word != "ipvsadm").map(str::to_owned).collect();
        let Some(first) = words.first() else { return Ok(()) };
        let wish = read(self.program, &words).map_err(|failure| {
            self.flush();
            if failure == Failure::without_command(self.program) {
                no_command(first)
            } else {
                failure
            }
        })?;
        let done = match &wish {
            Wish::Command(wanted) if wanted.verb == Verb::Restore => Ok(()),
            Wish::Command(wanted) => self.command(wanted, &wish),
            _ => self.perform(&wish),
        };
        match done {
            Err(failure) if failure.ends_restore => Err(failure),
            Err(failure) => {
                self.tell(self.number, &failure);
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
        self.waiting.push(Waiting { number: self.number, command, verb: wanted.verb });
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
        for Waiting { number, command, verb } in waiting {
            self.status = 0;
            if let Err(failure) = self.session.apply(&[command], verb) {
                self.tell(number, &failure);
                if failure.ends_restore {
                    return;
                }
            }
        }
    }

    /// What is wrong with a line; that no director answers is wrong with none.
    fn tell(&mut self, number: usize, failure: &Failure) -> u8 {
        let Failure { message, .. } = failure;
        let line = if message.is_empty() || message.starts_with(UNREACHABLE) {
            message.clone()
        } else {
            format!("line {number}: {message}")
        };
        // What cannot be written is told at the end, if anybody is left to be told.
        let _unwritten = self.out.flush();
        let _gone = self.err.write_all(line.as_bytes());
        self.status = failure.status;
        failure.status
    }
}
