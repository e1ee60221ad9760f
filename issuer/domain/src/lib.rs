//! Permit, tier, clocks, life cycles and rules of decision: pure, without I/O.
