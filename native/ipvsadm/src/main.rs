//! The `ipvsadm` command for a director.
#![forbid(unsafe_code)]

use std::io::{BufWriter, Write as _, stderr, stdin, stdout};
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut out = BufWriter::new(stdout().lock());
    let mut err = stderr().lock();
    let status = ipvsadm::run(&words, &mut stdin().lock(), &mut out, &mut err);
    // Nobody is left to tell when the reader of the output is gone.
    let _gone = out.flush();
    ExitCode::from(status)
}
