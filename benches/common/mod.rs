//! What the benches share: machines that are made and measured, and times that are told.

#![allow(dead_code)] // Each bench uses its own part of this.

pub mod boxes;
pub mod memory;
pub mod times;
