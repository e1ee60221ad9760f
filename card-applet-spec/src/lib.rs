//! Every byte that the permit card and its readers agree on.
#![no_std]
