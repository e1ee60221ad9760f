//! The sealed key vault: shares, sealed rows, typed derivation, personalisation sessions, and the keyvault program.
