//! The reference card in process or behind pcscd's virtual reader, torn writes, and the private pcscd harness.
