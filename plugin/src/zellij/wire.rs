//! Reads protocol buffers, as far as Zellij's plugin interface uses them, and the JSON array of numbers that they travel in.

/// The content of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// A whole number, a truth value or a choice.
    Number(u64),
    /// A text, bytes or a message.
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The number; 0 if it is none.
    pub const fn number(self) -> u64 {
        match self {
            Self::Number(number) => number,
            Self::Bytes(_) => 0,
        }
    }

    /// The number, where it fits; else the largest there is.
    pub fn small(self) -> u32 {
        u32::try_from(self.number()).unwrap_or(u32::MAX)
    }

    /// The truth value.
    pub const fn flag(self) -> bool {
        self.number() != 0
    }

    /// The text; what is no UTF-8 in it is replaced.
    pub fn text(self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// The fields of the message.
    pub const fn fields(self) -> Fields<'a> {
        Fields(self.bytes())
    }

    const fn bytes(self) -> &'a [u8] {
        match self {
            Self::Number(_) => &[],
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// The fields of a message, in their order. A damaged message ends where the damage begins.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// The last field of this number, which is the one that counts.
    pub fn get(self, wanted: u64) -> Option<Value<'a>> {
        self.filter(|(field, _)| *field == wanted)
            .last()
            .map(|(_, value)| value)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => Value::Bytes(self.take(8)?),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Bytes(self.take(4)?),
            _ => return None,
        };
        Some((key >> 3, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        field
    }
}

/// The bytes of a JSON array of numbers, as `[8,1]`.
pub fn from_numbers(json: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(json.len() / 3);
    let mut number = None;
    for byte in json {
        if byte.is_ascii_digit() {
            let digit = byte & 0x0f;
            number = Some(number.map_or(digit, |before: u8| {
                before.wrapping_mul(10).wrapping_add(digit)
            }));
        } else if let Some(number) = number.take() {
            bytes.push(number);
        }
    }
    bytes.extend(number);
    bytes
}
