//! Bytes from the terminal as keys.

/// What was typed.
#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    Text(String),
    /// A bracketed paste, whole.
    Paste(String),
    Enter,
    NewLine,
    Backspace,
    Escape,
    Up,
    Down,
    ClearLine,
    CtrlC,
    CtrlD,
}

const PASTE_BEGINS: &[u8] = b"\x1b[200~";
const PASTE_ENDS: &[u8] = b"\x1b[201~";

/// Collects bytes until they make keys: sequences may arrive in pieces.
#[derive(Default)]
pub struct Parser {
    pending: Vec<u8>,
}

impl Parser {
    /// Takes bytes and returns the keys they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Key> {
        self.pending.extend_from_slice(bytes);
        let mut keys = Vec::new();
        while let Some((key, used)) = next_key(&self.pending) {
            self.pending.drain(..used);
            keys.extend(key);
        }
        keys
    }

    /// A lone escape byte is the Escape key once nothing has followed it for a moment.
    pub fn flush(&mut self) -> Option<Key> {
        if self.pending == [0x1b] {
            self.pending.clear();
            return Some(Key::Escape);
        }
        None
    }

    /// Whether an escape byte waits for what follows.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.pending == [0x1b]
    }
}

/// The first key of the bytes, if it is complete, and how many bytes it took.
fn next_key(bytes: &[u8]) -> Option<(Option<Key>, usize)> {
    if let Some(after) = bytes.strip_prefix(PASTE_BEGINS) {
        let end = after
            .windows(PASTE_ENDS.len())
            .position(|window| window == PASTE_ENDS)?;
        let text = String::from_utf8_lossy(&after[..end])
            .replace("\r\n", "\n")
            .replace('\r', "\n");
        return Some((
            Some(Key::Paste(text)),
            PASTE_BEGINS.len() + end + PASTE_ENDS.len(),
        ));
    }
    let first = *bytes.first()?;
    let single = |key| Some((Some(key), 1));
    match first {
        b'\r' => single(Key::Enter),
        b'\n' => single(Key::NewLine),
        0x7f | 0x08 => single(Key::Backspace),
        0x15 => single(Key::ClearLine),
        0x03 => single(Key::CtrlC),
        0x04 => single(Key::CtrlD),
        0x1b => escape_sequence(bytes),
        0x00..=0x1f => Some((None, 1)),
        _ => text(bytes),
    }
}

fn escape_sequence(bytes: &[u8]) -> Option<(Option<Key>, usize)> {
    match bytes.get(1)? {
        // Escape pressed twice, or pressed right before something else.
        0x1b => Some((Some(Key::Escape), 1)),
        b'[' => {
            let end = bytes
                .iter()
                .skip(2)
                .position(|byte| (0x40..=0x7e).contains(byte))?;
            let key = match (end, bytes[2 + end]) {
                (0, b'A') => Some(Key::Up),
                (0, b'B') => Some(Key::Down),
                _ => None,
            };
            // The beginning of a paste whose end has not come yet.
            if bytes.starts_with(PASTE_BEGINS) {
                return None;
            }
            Some((key, 3 + end))
        }
        b'O' => bytes.get(2).map(|_| (None, 3)),
        // Alt and a letter.
        _ => Some((None, 2)),
    }
}

fn text(bytes: &[u8]) -> Option<(Option<Key>, usize)> {
    let end = bytes
        .iter()
        .position(|byte| *byte < 0x20 || *byte == 0x7f)
        .unwrap_or(bytes.len());
    match std::str::from_utf8(&bytes[..end]) {
        Ok(text) => Some((Some(Key::Text(text.to_owned())), end)),
        Err(error) if error.valid_up_to() > 0 => {
            let end = error.valid_up_to();
            let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
            Some((Some(Key::Text(text)), end))
        }
        // The rest of the letter has not come yet.
        Err(error) if error.error_len().is_none() => None,
        Err(_) => Some((None, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paste_in_pieces_is_one_key() {
        let mut parser = Parser::default();
        assert_eq!(parser.feed(b"\x15\x1b[20"), [Key::ClearLine]);
        assert_eq!(parser.feed(b"0~two\nlines"), []);
        assert_eq!(
            parser.feed(b"\x1b[201~\r"),
            [Key::Paste("two\nlines".into()), Key::Enter]
        );
    }

    #[test]
    fn a_lone_escape_is_the_key_only_when_nothing_follows() {
        let mut parser = Parser::default();
        assert_eq!(parser.feed(b"\x1b"), []);
        assert!(parser.is_waiting());
        assert_eq!(parser.flush(), Some(Key::Escape));
        assert_eq!(parser.feed(b"\x1b[A\x1b[?1;2c"), [Key::Up]);
        assert_eq!(parser.flush(), None);
    }

    #[test]
    fn a_letter_in_pieces_is_one_letter() {
        let mut parser = Parser::default();
        assert_eq!(parser.feed(&[b'a', 0xc3]), [Key::Text("a".into())]);
        assert_eq!(parser.feed(&[0xa4]), [Key::Text("ä".into())]);
    }
}
