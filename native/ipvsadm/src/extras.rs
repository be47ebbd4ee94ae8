//! The texts that need no director.

/// `-v`; scripts look for it word by word.
pub(crate) const VERSION: &str = "ipvsadm v1.31 2019/12/24 (compiled with popt and IPVS v1.2.1)\n";

/// `-h`.
pub(crate) fn help(program: &str) -> String {
    format!("{VERSION}{}", include_str!("help.txt").replace("PROGRAM", program))
}
