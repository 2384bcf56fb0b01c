//! A type and a payload that lie apart, as serde reads an event: without putting them together in one text first.

use serde::{
    de::{
        DeserializeSeed, Deserializer, MapAccess, Visitor,
        value::{BorrowedStrDeserializer, MapAccessDeserializer},
    },
    forward_to_deserialize_any,
};

/// An event of the log.
pub(super) struct Tagged<'text> {
    /// The word for what happened.
    pub(super) event_type: &'text str,
    /// The facts as JSON.
    pub(super) payload: &'text str,
}

impl<'de> Deserializer<'de> for Tagged<'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        MapAccessDeserializer::new(Parts {
            event: self,
            next: Part::Type,
        })
        .deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Parts<'text> {
    event: Tagged<'text>,
    next: Part,
}

#[derive(Clone, Copy)]
enum Part {
    Type,
    Payload,
    End,
}

impl<'de> MapAccess<'de> for Parts<'de> {
    type Error = serde_json::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Self::Error> {
        let key = match self.next {
            Part::Type => "event_type",
            Part::Payload => "payload",
            Part::End => return Ok(None),
        };
        seed.deserialize(BorrowedStrDeserializer::new(key))
            .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, Self::Error> {
        if matches!(self.next, Part::Type) {
            self.next = Part::Payload;
            return seed.deserialize(BorrowedStrDeserializer::new(self.event.event_type));
        }
        self.next = Part::End;
        let mut json = serde_json::Deserializer::from_str(self.event.payload);
        let value = seed.deserialize(&mut json)?;
        json.end()?;
        Ok(value)
    }
}
