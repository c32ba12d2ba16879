use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;

/// A connection must have brought a good token within this time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Connections of one address that have not brought a good token yet.
const MOST_OF_ONE: usize = 128;
/// Such connections of all addresses.
const MOST: usize = 1_024;

/// Connections whose callers are not known yet: few enough that there is room for those who are.
#[derive(Default)]
pub(super) struct Strangers(Mutex<HashMap<IpAddr, usize>>);

/// One of them; counted until this is dropped.
pub(super) struct Stranger {
    all: Arc<Strangers>,
    address: IpAddr,
}

impl Strangers {
    /// Counts another one of this address, if there is room for it.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Stranger> {
        let mut by_address = self.0.lock();
        if by_address.values().sum::<usize>() >= MOST {
            return None;
        }
        let count = by_address.entry(address).or_default();
        if *count >= MOST_OF_ONE {
            return None;
        }
        *count += 1;
        Some(Stranger { all: self.clone(), address })
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut by_address = self.all.0.lock();
        if let Some(count) = by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn one_address_does_not_take_the_room_of_others() {
        let all = Arc::new(Strangers::default());
        let address = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
        let mut first: Vec<Stranger> = (0..MOST_OF_ONE).filter_map(|_| all.enter(address(1))).collect();
        assert_eq!(first.len(), MOST_OF_ONE);
        assert!(all.enter(address(1)).is_none());
        let other = all.enter(address(2)).expect("room for another");
        first.pop();
        let again = all.enter(address(1)).expect("room for one");
        assert!(all.enter(address(1)).is_none());
        drop((first, again, other));
        assert!(all.0.lock().is_empty(), "nothing is kept of those who left");
        let many: Vec<Stranger> =
            (0..=MOST).filter_map(|n| all.enter(address(u8::try_from(n % 200).expect("small")))).collect();
        assert_eq!(many.len(), MOST);
    }
}
