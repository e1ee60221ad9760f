//! The reference card: a state machine over a memory and a random source, without std or allocator.
#![no_std]
