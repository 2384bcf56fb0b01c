//! Ids that sort by time, for what is stored in great numbers: an index then grows at its end only, and what is stored
//! together lies together on the disk.

use uuid::{Builder, Uuid};

/// The id (version 7) with this time and the randomness of another id. 74 bits of it are random.
pub fn in_time(random: Uuid, wall_ms: i64) -> Uuid {
    let [.., a, b, c, d, e, f, g, h] = random.into_bytes();
    let [first, second, ..] = random.into_bytes();
    let millis = u64::try_from(wall_ms).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &[first, second, a, b, c, d, e, f, g, h])
        .into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_differ_within_a_moment() {
        let id = |millis| in_time(Uuid::new_v4(), millis);
        let (earlier, later) = (id(1_795_000_000_000), id(1_795_000_000_001));
        assert!(earlier < later);
        assert_eq!(earlier.get_version_num(), 7);
        assert_ne!(id(1_795_000_000_000), id(1_795_000_000_000));
        assert_eq!(in_time(Uuid::nil(), -5).get_version_num(), 7);
    }
}
