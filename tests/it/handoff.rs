//! The hand-off between two users who can't see each other's account: every order and every stop come to the same end; what is
//! forged is refused or harmless; no secret is in it.

use crate::rehearsed_stops::{at_once, difference, side_by_side};
use crate::support::scene::Scene;
use crate::support::stage::HOME;
use serde_json::Value;
use xdeploy::aws::{Account, Accounts, Unverified};
use xdeploy::deploy::apply::{self, Manner};
use xdeploy::deploy::handoff::{self, Handoff};
use xdeploy::deploy::observe::{Purpose, observe_side};
use xdeploy::deploy::plan::{Callers, Plan};
use xdeploy::deploy::snapshot::{Half, Identity};
use xdeploy::error::{Error, Kind, Result};
use xdeploy::model::{Policies, Side};
use xdeploy::rehearsal::{DEV, Fault, Line, PROD};
use xdeploy::settings::{CommonFlags, DeploymentFlags, Settings};

/// What a user says for one side: the pipeline is development's, the role's name is production's.
fn flags(scene: &Scene, side: Side) -> (CommonFlags, DeploymentFlags) {
    let settings = &scene.settings;
    let common = CommonFlags {
        dev_profile: (side == Side::Dev).then(|| "d".to_owned()),
        prod_profile: (side == Side::Prod).then(|| "p".to_owned()),
        dev_account: DEV.parse().ok(),
        prod_account: PROD.parse().ok(),
        ..CommonFlags::default()
    };
    let flags = DeploymentFlags { output_bucket: settings.output_bucket.clone(), ..DeploymentFlags::default() };
    let flags = match side {
        Side::Dev => DeploymentFlags {
            input_bucket: settings.input_bucket.clone(),
            policies: settings.policies,
            change_detection: settings.change_detection,
            ..flags
        },
        Side::Prod => DeploymentFlags { deploy_role: settings.deploy_role.clone(), ..flags },
    };
    (common, flags)
}

/// One side, logged in over a line, with the file that it was sent.
struct Seat {
    side: Side,
    accounts: Accounts,
    settings: Settings,
    file: Option<Handoff>,
}

impl Seat {
    async fn take(scene: &Scene, line: &Line, side: Side, file: Option<&Handoff>) -> Result<Seat> {
        let (common, flags) = flags(scene, side);
        let told = side == Side::Prod && flags.deploy_role.is_none();
        let (common, flags) = match file {
            Some(file) => file.complete(side, common, flags)?,
            None => (common, flags),
        };
        let mut settings = Settings::of_side(side, common, flags)?;
        settings.deploy_role_told = told;
        let (own, other, region) = match side {
            Side::Dev => (DEV, PROD, HOME),
            Side::Prod => (PROD, DEV, scene.target),
        };
        let config = line.config(scene.rehearsal.keys(own), region);
        let account = Account::verified(side, "rehearsal", config).await.map_err(|error| match error {
            Unverified::Asking(error) => Error::from(error),
            Unverified::Answer(error) => error,
        })?;
        let place = match (file.and_then(|file| file.half(side.other())), side) {
            (Some(Half::Dev(half)), _) => half.identity.region,
            (Some(Half::Prod(half)), _) => half.identity.region,
            (None, _) => HOME.to_owned(),
        };
        let named = Account::named(side.other(), other, &account.partition, &place);
        let accounts = match side {
            Side::Dev => Accounts { dev: account, prod: named },
            Side::Prod => Accounts { dev: named, prod: account },
        };
        Ok(Seat { side, accounts, settings, file: file.cloned() })
    }

    async fn plan(&self) -> Result<Plan> {
        let other = self.side.other();
        let named = self.accounts.of(other);
        let half = self.file.as_ref().and_then(|file| file.half(other));
        let half = half.unwrap_or_else(|| handoff::assumed(other, Identity::of(named, &named.region), &self.settings));
        let told = handoff::told(other, self.file.as_ref());
        let snapshot = observe_side(&self.accounts.dev, &self.accounts.prod, &self.settings, Purpose::Setup, &half, told).await?;
        let callers = Callers { dev: self.accounts.dev.caller.to_string(), prod: self.accounts.prod.caller.to_string() };
        Plan::make(&self.settings, callers, snapshot, None)
    }
}

/// One side's turn, from the first call to the file.
async fn turn(scene: &Scene, line: &Line, side: Side, file: Option<&Handoff>) -> Result<Handoff> {
    let seat = Seat::take(scene, line, side, file).await?;
    let plan = seat.plan().await?;
    let stop = std::sync::atomic::AtomicBool::new(false);
    let manner = Manner { pipeline_arn: &plan.pipeline_arn(), wait_for_runs: false, listen: &|_| (), stop: &stop };
    apply::apply(&seat.accounts, plan.writes(), &manner).await?;
    let again = seat.plan().await?;
    assert!(again.is_empty(), "{:#?}", again.writes());
    let by = seat.accounts.of(side).caller.to_string();
    let told = Handoff::tell(&seat.settings, again.snapshot(), side, &by, again.later(), Vec::new(), file)?;
    // It goes as text.
    Handoff::parse(&told.text(), "handoff.json")
}

/// Takes turns one after another, the file going with them.
async fn turns(scene: &Scene, order: &[Side]) -> Result<Option<Handoff>> {
    let mut file = None;
    for side in order {
        file = Some(turn(scene, &scene.rehearsal.line(), *side, file.as_ref()).await?);
    }
    Ok(file)
}

/// The worlds: what there is, and how it is to be.
const WORLDS: [&str; 5] = ["fresh", "least privilege", "two regions", "least privilege in two regions", "adopting"];

async fn world(name: &str) -> Scene {
    match name {
        "fresh" => Scene::fresh(HOME, Policies::Article).await,
        "least privilege" => Scene::fresh(HOME, Policies::LeastPrivilege).await,
        "two regions" => Scene::fresh("eu-west-1", Policies::Article).await,
        "least privilege in two regions" => Scene::fresh("eu-west-1", Policies::LeastPrivilege).await,
        _ => Scene::adopting().await,
    }
}

/// What one user with both profiles comes to.
async fn expected(scene: &Scene) -> Value {
    let scene = scene.fork();
    scene.set_up(&scene.rehearsal.line()).await.unwrap();
    scene.state()
}

/// Every order of so many turns.
fn orders(length: u32) -> Vec<Vec<Side>> {
    let side = |bits: u32, at: u32| if bits >> at & 1 == 0 { Side::Dev } else { Side::Prod };
    (0..2_u32.pow(length)).map(|bits| (0..length).map(|at| side(bits, at)).collect()).collect()
}

#[test]
fn every_order_comes_to_the_same_end() {
    let mut tried = 0;
    for name in WORLDS {
        let scene = at_once(world(name));
        let expected = at_once(expected(&scene));
        let all = orders(4);
        tried += all.len();
        let wrong = side_by_side(&all, |order| {
            // Whoever comes last sees the other's last answer.
            let whole: Vec<Side> = order.iter().copied().chain([Side::Dev, Side::Prod, Side::Dev]).collect();
            let scene = scene.fork();
            let file = at_once(turns(&scene, &whole)).map_err(|error| format!("{whole:?}: {error:#?}"))?;
            let found = scene.state();
            if found != expected {
                return Err(format!("{whole:?}: another end:\n{}", difference(&expected, &found)));
            }
            match file.filter(|file| file.open.writes.is_empty()) {
                Some(_) => Ok(()),
                None => Err(format!("{whole:?}: something is still to be done")),
            }
        });
        assert!(wrong.is_empty(), "{name}: {} of {} orders:\n{}", wrong.len(), all.len(), wrong.join("\n"));
    }
    println!("{tried} orders in {} worlds", WORLDS.len());
}

#[test]
fn three_turns_are_enough_from_development_and_four_from_production() {
    use Side::{Dev, Prod};
    for name in WORLDS {
        let scene = at_once(world(name));
        let expected = at_once(expected(&scene));
        let enough: [&[Side]; 2] = [&[Dev, Prod, Dev], &[Prod, Dev, Prod, Dev]];
        for order in enough {
            let scene = scene.fork();
            at_once(turns(&scene, order)).unwrap_or_else(|error| panic!("{name}, {order:?}: {error:#?}"));
            let found = scene.state();
            assert!(found == expected, "{name}, {order:?}:\n{}", difference(&expected, &found));
        }
    }
}
