//! Each rule is needed: with it off a promise is broken, by a script that provokes exactly that, or by some seeds.

mod random;
mod scripts;
