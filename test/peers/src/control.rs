//! What tells a program to stop or to act: signals, standard input, the time limit.

use std::io::BufRead;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::ProgramError;
use crate::options::Options;

/// What the driver asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// End in good order: SIGTERM, SIGINT, end of standard input, `finish`, or the time limit.
    Finish,
    /// `close-server NAME`: end the connections that are on that server.
    CloseServer(String),
}

/// Source of [`Control`]s.
#[derive(Debug)]
pub(crate) struct Controls {
    lines: mpsc::UnboundedReceiver<Control>,
    stdin_open: bool,
    terminate: Signal,
    interrupt: Signal,
    deadline: Option<Instant>,
}

impl Controls {
    /// Takes `--max-seconds S` (default: no limit) and `--ignore-stdin` out of the options.
    pub(crate) fn from_options(options: &mut Options) -> Result<Self, ProgramError> {
        let limit = options.get::<f64>("max-seconds", "a number of seconds above 0")?;
        let limit = limit.map(Duration::try_from_secs_f64).transpose()?;
        let ignore_stdin = options.flag("ignore-stdin")?;
        let (sender, lines) = mpsc::unbounded_channel();
        if !ignore_stdin {
            // A thread of its own: tokio's stdin would hold the runtime open until the next line.
            std::thread::Builder::new().name("stdin".to_owned()).spawn(move || read(&sender))?;
        }
        Ok(Self {
            lines,
            stdin_open: !ignore_stdin,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            deadline: limit.map(|limit| Instant::now() + limit),
        })
    }

    /// The next thing asked for. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Control {
        let Self { lines, stdin_open, terminate, interrupt, deadline } = self;
        let far = Instant::now() + Duration::from_secs(86_400 * 365);
        tokio::select! {
            line = lines.recv(), if *stdin_open => line.unwrap_or_else(|| {
                *stdin_open = false;
                Control::Finish
            }),
            _ = terminate.recv() => Control::Finish,
            _ = interrupt.recv() => Control::Finish,
            () = sleep_until(deadline.unwrap_or(far)) => {
                *deadline = None;
                Control::Finish
            }
        }
    }

    /// Waits for [`Control::Finish`], ignoring everything else. Cancel-safe.
    pub(crate) async fn finished(&mut self) {
        while self.next().await != Control::Finish {}
    }
}

fn read(sender: &mpsc::UnboundedSender<Control>) {
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        let control = match line.trim().split_once(' ') {
            Some(("close-server", name)) => Control::CloseServer(name.trim().to_owned()),
            None if line.trim() == "finish" => Control::Finish,
            _ => {
                let message = format!(
                    "standard input: {line:?} is not known; it takes: finish, close-server NAME"
                );
                crate::events::emit("warning", &crate::events::ErrorEvent { message });
                continue;
            }
        };
        if sender.send(control).is_err() {
            return;
        }
    }
}
