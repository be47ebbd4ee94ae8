//! Addresses, ports and numbers, as ipvsadm reads them.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::names;

/// An address and, if one was given, a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: Option<u16>,
}

/// `192.0.2.1:80`, `192.0.2.1`, `[2001:db8::1]:80`, `2001:db8::1`, `host:service`.
#[must_use]
pub fn endpoint(text: &str, protocol: u8) -> Option<Endpoint> {
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Some(Endpoint { address: address.into(), port: None });
    }
    let (host, port) = match text.strip_prefix('[') {
        // IPVS: brackets need a port behind them.
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, Some(rest.strip_prefix(':')?))
        }
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let address = host_address(host)?;
    let port = match port {
        Some(port) => Some(port_number(port, protocol)?),
        None => None,
    };
    Some(Endpoint { address, port })
}

fn host_address(host: &str) -> Option<IpAddr> {
    if let Ok(address) = host.parse::<Ipv6Addr>() {
        return Some(address.into());
    }
    inet_aton(host).or_else(|| names::host_address(host)).map(IpAddr::V4)
}

fn port_number(text: &str, protocol: u8) -> Option<u16> {
    match number(text, 0, 65_535) {
        Some(port) => u16::try_from(port).ok(),
        None => names::service_port(text, protocol),
    }
}

/// A decimal number within a range, as C's `strtol` reads it: blanks and a sign may stand before it.
#[must_use]
pub fn number(text: &str, least: i64, most: i64) -> Option<i64> {
    let text =
        text.trim_start_matches(|letter: char| letter == ' ' || ('\t'..='\r').contains(&letter));
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|value| (least..=most).contains(value))
}

/// The number a text begins with, 0 without one: C's `atoi`.
#[must_use]
pub fn leading_number(text: &str) -> i64 {
    let sign = usize::from(text.starts_with(['+', '-']));
    let digits = text.bytes().skip(sign).take_while(u8::is_ascii_digit).count();
    let end = sign + digits;
    text.get(..end).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// An IPv4 address of one to four parts, each decimal, octal or hexadecimal; the last one fills what
/// is left: `1.2.3` is 1.2.0.3.
#[must_use]
pub fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    // Whatever follows a blank is not looked at.
    let text = text.split(|letter: char| letter.is_ascii_whitespace()).next()?;
    let parts = text.split('.').map(part).collect::<Option<Vec<u32>>>()?;
    let (last, leading) = parts.split_last()?;
    if leading.len() > 3 || leading.iter().any(|part| *part > 255) {
        return None;
    }
    let octets = u32::try_from(leading.len()).ok()?;
    let room = 32 - 8 * octets;
    if room < 32 && *last >> room != 0 {
        return None;
    }
    let high = leading.iter().zip([24, 16, 8]).fold(0, |sum, (part, shift)| sum | part << shift);
    Some(Ipv4Addr::from(high | last))
}

fn part(text: &str) -> Option<u32> {
    let (digits, base) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if text.len() > 1 && text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    if digits.starts_with('+') {
        return None;
    }
    u32::from_str_radix(digits, base).ok()
}
