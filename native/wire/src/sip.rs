//! The Call-ID of a SIP message (RFC 3261).

/// Most octets of a Call-ID that is of use (IPVS: data of a persistence engine).
pub const CALL_ID_MAX: usize = 255;

const NAME: &[u8] = b"call-id";

/// The value of the first Call-ID header of a datagram's payload, `Call-ID` or its compact form `i`
/// in upper or lower case (RFC 3261 §7.3.3, §20.8).
///
/// None where there is none, it is empty or longer than [`CALL_ID_MAX`], has a character that it
/// may not have, or is not followed by the end of its line (IPVS). The start line is no header.
#[must_use]
pub fn call_id(message: &[u8]) -> Option<&[u8]> {
    let mut rest = message;
    loop {
        rest = next_line(rest)?;
        if let Some(text) = after_name(rest).and_then(after_colon) {
            return value(text);
        }
    }
}

/// What follows the next end of a line: CR, LF or both (RFC 2543 let any of them end one).
fn next_line(text: &[u8]) -> Option<&[u8]> {
    let end = text.iter().position(|octet| matches!(octet, b'\r' | b'\n'))?;
    let length = if text.get(end..end + 2) == Some(b"\r\n") { 2 } else { 1 };
    text.get(end + length..).filter(|rest| !rest.is_empty())
}

/// What follows the name of a Call-ID header. A compact name has no letter behind it.
fn after_name(line: &[u8]) -> Option<&[u8]> {
    match line.split_at_checked(NAME.len()) {
        Some((name, rest)) if name.eq_ignore_ascii_case(NAME) => Some(rest),
        _ => match line {
            [b'i' | b'I', rest @ ..] if !rest.first()?.is_ascii_alphabetic() => Some(rest),
            _ => None,
        },
    }
}

fn after_colon(text: &[u8]) -> Option<&[u8]> {
    skip_space(text).strip_prefix(b":").map(skip_space)
}

/// Skips blanks, and ends of lines that a blank follows: the header goes on there (RFC 3261 §7.3.1).
fn skip_space(mut text: &[u8]) -> &[u8] {
    loop {
        text = match text {
            [b' ' | b'\t', rest @ ..] => rest,
            [b'\r', b'\n', b' ' | b'\t', rest @ ..] | [b'\r' | b'\n', b' ' | b'\t', rest @ ..] => {
                rest
            }
            _ => return text,
        };
    }
}

/// callid = word [ "@" word ] (RFC 3261 §25.1), and the end of the line behind it.
fn value(text: &[u8]) -> Option<&[u8]> {
    let mut length = word(text);
    if length > 0
        && let Some(domain) = text.get(length..).and_then(|rest| rest.strip_prefix(b"@"))
    {
        length = match word(domain) {
            0 => return None,
            more => length + 1 + more,
        };
    }
    let ends = matches!(text.get(length), Some(b'\r' | b'\n'));
    text.get(..length).filter(|_| ends && (1..=CALL_ID_MAX).contains(&length))
}

/// Octets of the word that `text` begins with.
fn word(text: &[u8]) -> usize {
    text.iter().take_while(|octet| is_of_word(**octet)).count()
}

const fn is_of_word(octet: u8) -> bool {
    octet.is_ascii_alphanumeric()
        || matches!(
            octet,
            b'-' | b'.'
                | b'!'
                | b'%'
                | b'*'
                | b'_'
                | b'+'
                | b'`'
                | b'\''
                | b'~'
                | b'('
                | b')'
                | b'<'
                | b'>'
                | b':'
                | b'\\'
                | b'"'
                | b'/'
                | b'['
                | b']'
                | b'?'
                | b'{'
                | b'}'
        )
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    fn found(headers: &str) -> Option<std::string::String> {
        let message = format!("INVITE sip:bob@example.net SIP/2.0\r\n{headers}");
        call_id(message.as_bytes()).map(|id| std::str::from_utf8(id).unwrap().into())
    }

    #[test]
    fn both_names_in_any_case_and_folded() {
        let id = Some("a84b4c76e66710@pc33.example.com".into());
        for header in ["Call-ID: ", "CALL-id:", "i: ", "I :\t", "Call-ID \t:\r\n  ", "i:\n "] {
            let text = format!("Via: SIP/2.0/UDP x\r\n{header}a84b4c76e66710@pc33.example.com\r\n");
            assert_eq!(found(&text), id, "{header:?}");
        }
    }

    #[test]
    fn other_headers_are_not_it() {
        assert_eq!(found("Identity: x\r\nMax-Forwards: 70\r\n"), None);
        assert_eq!(found("X-Call-ID: x\r\n Call-ID: y\r\n"), None);
        assert_eq!(found("Identity: x\nCall-ID: y\n").as_deref(), Some("y"));
        assert_eq!(call_id(b"Call-ID: start line\r\n\r\n"), None);
    }

    #[test]
    fn a_value_of_no_use_is_none() {
        for value in
            ["\r\n", "x", "x@\r\n", "@x\r\n", "x y\r\n", "x@y@z\r\n", "\u{e9}\r\n", "x \r\n"]
        {
            assert_eq!(found(&format!("Call-ID: {value}")), None, "{value:?}");
        }
        let long = |length| found(&format!("Call-ID: {}\r\n", "x".repeat(length)));
        assert_eq!(long(CALL_ID_MAX).map(|id| id.len()), Some(CALL_ID_MAX));
        assert_eq!(long(CALL_ID_MAX + 1), None);
    }

    #[test]
    fn the_first_one_decides() {
        assert_eq!(found("Call-ID: a\r\nCall-ID: b\r\n").as_deref(), Some("a"));
        assert_eq!(found("Call-ID: \r\nCall-ID: b\r\n"), None);
    }
}
