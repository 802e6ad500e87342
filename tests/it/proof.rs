//! The proof: of what will be there, of what is there, and of everything that can break it.

use crate::world::World;

#[test]
fn the_proof_before_apply_is_the_proof_after_it() {
    let world = World::new();
    let setup = world.setup(&[]).success();
    let verify = world.command("verify", &[]).success();
    println!("{}\n=====\n{}", setup.stdout, verify.stdout);
}
