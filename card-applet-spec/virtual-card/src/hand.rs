//! Carries out the orders of the control socket at one reader.

use crate::chip::{Foreign, Mute};
use crate::control::{Order, Reply};
use crate::slot::Slot;

/// Carries out one order at one reader.
#[must_use]
pub fn carry_out(slot: &Slot, order: &Order) -> Reply {
    let done = match order {
        Order::Status => Ok(()),
        Order::Eject => {
            slot.pull();
            Ok(())
        }
        Order::Foreign => slot.insert(Box::new(Foreign)),
        Order::Mute => slot.insert(Box::new(Mute)),
        Order::Insert { memory: None } => match slot.insert_again() {
            Ok(true) => Ok(()),
            Ok(false) => {
                return Reply::refused("ORDER", "no card was taken away before", "Name a memory file.");
            }
            Err(error) => Err(error),
        },
        Order::Fault { fault } => {
            slot.plan(*fault);
            Ok(())
        }
        Order::Stop | Order::Start => {
            return Reply::refused(
                "ORDER",
                "a reader does not start or stop",
                "Give this order to the service's socket.",
            );
        }
        Order::Insert { .. } | Order::Swap { .. } | Order::Tear { .. } => {
            return Reply::refused(
                "ORDER",
                "there is no card with a memory yet",
                "Use foreign or mute.",
            );
        }
    };
    match done {
        Ok(()) => Reply::done(Some(slot.status())),
        Err(error) => Reply::failed(&error),
    }
}
