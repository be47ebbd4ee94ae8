//! Walks one hot path with so many frames, and does nothing else: what a second run with more
//! frames takes in addition is the cost of those frames. Run by `scripts/instructions.mjs` under
//! callgrind.
//!
//! Usage: `instructions PATH FRAMES`; without arguments it names the paths.

use std::io::Write;
use std::process::ExitCode;

use engine_bench::paths::{FRAMES_MAX, PATHS};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(text) => {
            let printed = std::io::stdout().write_all(text.as_bytes());
            if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(problem) => {
            let _ = writeln!(std::io::stderr(), "{problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<String, String> {
    let [name, frames] = arguments else {
        return Ok(PATHS.map(|path| format!("{}\n", path.name)).concat());
    };
    let path = PATHS
        .iter()
        .find(|path| path.name == name)
        .ok_or_else(|| format!("no such path: {name}"))?;
    let frames =
        frames.parse().ok().filter(|frames| *frames <= FRAMES_MAX).ok_or_else(|| {
            format!("a number of frames up to {FRAMES_MAX} is needed, not {frames}")
        })?;
    let mut step = (path.prepare)();
    let went = (0..frames).filter(|number| step(*number)).count();
    if u32::try_from(went) == Ok(frames) {
        Ok(String::new())
    } else {
        Err(format!("{name}: {went} of {frames} frames went the way of the path"))
    }
}
