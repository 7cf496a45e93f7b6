//! Fingerprints of configuration that are the same for every instance and build, and may be added up in any order.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Of a part of a configuration. Parts of a list are combined in their order by [`Digest::then`], those of a set by [`Digest::and`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Digest(u64);

/// FNV's prime: an odd number whose bits are spread.
const PRIME: u64 = 0x0100_0000_01b3;

impl Digest {
    /// Of a text.
    pub(crate) fn of(text: &str) -> Self {
        let mut state = 0xcbf2_9ce4_8422_2325_u64;
        let mut chunks = text.as_bytes().chunks_exact(8);
        for chunk in &mut chunks {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            state = mix(state ^ u64::from_le_bytes(word));
        }
        let mut word = [0; 8];
        for (to, from) in word.iter_mut().zip(chunks.remainder()) {
            *to = *from;
        }
        state = mix(state ^ u64::from_le_bytes(word));
        Self(mix(state ^ text.len() as u64))
    }

    fn of_number(number: u64) -> Self {
        Self(mix(number.wrapping_mul(PRIME) ^ 1))
    }

    /// What comes after it belongs to it.
    pub(crate) const fn then(self, next: Self) -> Self {
        Self(mix(self.0.rotate_left(5) ^ next.0.wrapping_mul(PRIME)))
    }

    /// Beside another, in no order.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0.wrapping_add(mix(other.0)))
    }

    /// As many bits as a sample of Prometheus holds exactly.
    #[expect(clippy::cast_precision_loss, reason = "52 bits are left")]
    pub(crate) const fn sample(self) -> f64 {
        (mix(self.0) >> 12) as f64
    }
}

/// The finalizer of splitmix64.
const fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// Any JSON: nothing of it is kept. Keys of objects are in no order.
impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Walk)
    }
}

/// A text that is read and digested without being kept.
struct Text;

impl<'de> DeserializeSeed<'de> for Text {
    type Value = Digest;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Digest, D::Error> {
        deserializer.deserialize_str(Walk)
    }
}

struct Walk;

impl<'de> Visitor<'de> for Walk {
    type Value = Digest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, it: bool) -> Result<Digest, E> {
        Ok(Digest::of(if it { "true" } else { "false" }))
    }

    fn visit_u64<E>(self, it: u64) -> Result<Digest, E> {
        Ok(Digest::of_number(it))
    }

    fn visit_i64<E>(self, it: i64) -> Result<Digest, E> {
        Ok(Digest::of_number(it.cast_unsigned()))
    }

    fn visit_f64<E>(self, it: f64) -> Result<Digest, E> {
        Ok(Digest::of_number(it.to_bits()))
    }

    fn visit_str<E>(self, it: &str) -> Result<Digest, E> {
        Ok(Digest::of(it))
    }

    fn visit_unit<E>(self) -> Result<Digest, E> {
        Ok(Digest::of("null"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Digest, A::Error> {
        let mut all = Digest::of("[");
        while let Some(item) = items.next_element::<Digest>()? {
            all = all.then(item);
        }
        Ok(all)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Digest, A::Error> {
        let mut all = Digest::of("{");
        while let Some(key) = entries.next_key_seed(Text)? {
            all = all.and(key.then(entries.next_value()?));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::Digest;

    fn digest(json: &str) -> Digest {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_equal() {
        assert_eq!(
            digest(r#"{"a":1,"b":[2,"x"]}"#),
            digest(r#"{"b":[2,"x"],"a":1}"#)
        );
        assert_eq!(digest(r#""x""#), Digest::of("x"));
    }

    /// The number stands in series of other instances and releases.
    #[test]
    fn it_stays() {
        assert_eq!(
            digest(r#"{"rule":"Host(`a`)"}"#).sample(),
            2_998_897_586_548_505.0
        );
    }

    #[test]
    fn what_differs() {
        let all = [
            "1",
            "-1",
            "1.5",
            "\"1\"",
            "null",
            "true",
            "false",
            "[]",
            "{}",
            "[1]",
            "[1,2]",
            "[2,1]",
            "[[1],2]",
            "{\"a\":1}",
            "{\"a\":2}",
            "{\"b\":1}",
            "\"\"",
            "\"12345678\"",
            "\"123456789\"",
            "{\"a\":1,\"b\":2}",
            "{\"a\":2,\"b\":1}",
            "\"a\\u0000\"",
            "\"a\"",
        ];
        for (at, a) in all.iter().enumerate() {
            for b in &all[at + 1..] {
                assert_ne!(digest(a).sample(), digest(b).sample(), "{a} {b}");
            }
        }
    }
}
