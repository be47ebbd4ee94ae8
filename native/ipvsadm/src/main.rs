//! The `ipvsadm` command for a director.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{BufWriter, Write, sink, stderr, stdin, stdout};
use std::os::fd::AsFd as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut err = stderr().lock();
    // Not the standard library's own output, which takes a descriptor that cannot be written for one
    // that takes everything.
    let mut out: BufWriter<Box<dyn Write>> = match stdout().as_fd().try_clone_to_owned() {
        Ok(descriptor) => BufWriter::new(Box::new(File::from(descriptor))),
        Err(_) => BufWriter::new(Box::new(sink())),
    };
    let status = ipvsadm::run(&words, &mut stdin().lock(), &mut out, &mut err);
    // What could not be written was told, and is not tried again.
    let _unwritten = out.into_parts();
    ExitCode::from(status)
}
