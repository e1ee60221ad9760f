//! Issue and read over real PC/SC: virtual or physical reader, printer, HSM.
