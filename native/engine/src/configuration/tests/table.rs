//! The hash table against the standard library's map.

use alloc::collections::BTreeMap;

use proptest::prelude::*;

use crate::configuration::table::Table;

#[test]
fn ten_thousand_keys_stay_apart() {
    let mut table = Table::default();
    for number in 0..10_000_u32 {
        table.insert((super::tcp("192.0.2.80", 1), number), number);
    }
    for number in 0..10_000 {
        assert_eq!(table.get(&(super::tcp("192.0.2.80", 1), number)), Some(number));
    }
    assert_eq!(table.get(&(super::tcp("192.0.2.80", 2), 1)), None);
}

#[test]
fn counts_end_at_nothing() {
    let mut table = Table::default();
    table.count('a');
    table.count('a');
    table.discount(&'a');
    assert_eq!(table.get(&'a'), Some(1));
    table.discount(&'a');
    assert_eq!(table.get(&'a'), None);
    table.discount(&'a');
    assert_eq!(table.get(&'a'), None);
}

proptest! {
    #[test]
    fn it_is_a_map(
        steps in proptest::collection::vec((any::<bool>(), 0_u16..64, any::<u8>()), 0..400),
    ) {
        let (mut table, mut map) = (Table::default(), BTreeMap::new());
        for (insert, key, value) in steps {
            if insert {
                table.insert(key, value);
                map.insert(key, value);
            } else {
                prop_assert_eq!(table.remove(&key), map.remove(&key));
            }
            for key in 0..64 {
                prop_assert_eq!(table.get(&key), map.get(&key).copied());
            }
        }
    }
}
