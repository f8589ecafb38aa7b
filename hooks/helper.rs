//! `cx-helper`: what a run starts beside its agent, in a program that starts fast.

fn main() {
    cx_operator::helper_main();
}
