//! Two set-ups of one pipeline at the same time, as from two machines: in whatever order their calls come, the end is that of one.
//! A teardown beside a set-up takes nothing of others along, and the next set-up comes to the same end.

use crate::rehearsed_stops::end_of;
use crate::support::compare::difference;
use crate::support::depth::{self, Chance, SEED};
use crate::support::running::{at_once, side_by_side};
use crate::support::scene::Scene;
use crate::support::stage::HOME;
use serde_json::Value;
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use xdeploy::error::{Error, Kind};
use xdeploy::model::Policies;
use xdeploy::rehearsal::Line;

/// An order of two runs' calls.
#[derive(Debug, Clone, Copy)]
enum Order {
    /// So many calls of the first, all of the second, the rest of the first.
    Within(usize),
    /// So many calls of the first, so many of the second, and again.
    Turns(usize, usize),
    /// By chance, in bursts of up to so many calls.
    Chance { seed: u64, burst: usize },
}

/// Says which of the two goes on, given what each has waiting, and with which of its calls.
struct Scheduler {
    order: Order,
    chance: Chance,
    passed: [usize; 2],
    turn: usize,
    left: usize,
}

impl Scheduler {
    fn new(order: Order) -> Scheduler {
        let (seed, turn, left) = match order {
            Order::Within(count) => (0, usize::from(count == 0), count),
            Order::Turns(count, _) => (0, 0, count),
            Order::Chance { seed, .. } => (seed, 0, 0),
        };
        Scheduler { order, chance: Chance::new(seed), passed: [0; 2], turn, left }
    }

    fn choose(&mut self, waiting: [&[usize]; 2], over: [bool; 2]) -> Option<(usize, usize)> {
        if self.left == 0 || over[self.turn] {
            (self.turn, self.left) = match self.order {
                Order::Within(_) if over[1] => (0, usize::MAX),
                Order::Within(_) => (1, usize::MAX),
                Order::Turns(one, other) => (1 - self.turn, [other, one][self.turn]),
                Order::Chance { burst, .. } => (self.chance.below(2), 1 + self.chance.below(burst)),
            };
        }
        // Whoever is to go on may wait for time to pass; the other doesn't go before it, but by chance.
        if waiting[self.turn].is_empty() && (over[self.turn] || matches!(self.order, Order::Chance { .. })) {
            self.turn = 1 - self.turn;
        }
        let calls = waiting[self.turn];
        let index = match self.order {
            Order::Chance { .. } if !calls.is_empty() => self.chance.below(calls.len()),
            _ => 0,
        };
        let call = *calls.get(index)?;
        self.left = self.left.saturating_sub(1);
        self.passed[self.turn] += 1;
        Some((self.turn, call))
    }
}

/// What runs beside a set-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    SetUp,
    TearDown,
}

/// Lets a set-up run beside another run, with their calls in an order.
async fn together(scene: &Scene, beside: Beside, order: Order) -> [Result<(), Error>; 2] {
    let lines: [Line; 2] = [scene.rehearsal.line().gated(), scene.rehearsal.line().gated()];
    let over = [Cell::new(false), Cell::new(false)];
    let run = async |index: usize| {
        let ended = match (index, beside) {
            (1, Beside::TearDown) => scene.tear_down(&lines[index]).await,
            _ => scene.set_up(&lines[index]).await,
        };
        over[index].set(true);
        ended
    };
    let gate = async {
        let mut scheduler = Scheduler::new(order);
        while !(over[0].get() && over[1].get()) {
            // Time only passes when both runs wait.
            tokio::time::sleep(Duration::from_millis(1)).await;
            let waiting = [lines[0].waiting(), lines[1].waiting()];
            if let Some((index, call)) = scheduler.choose([&waiting[0], &waiting[1]], [over[0].get(), over[1].get()]) {
                lines[index].pass(call);
            }
        }
    };
    let (one, other, ()) = tokio::join!(run(0), run(1), gate);
    [one, other]
}

/// How two runs ended.
#[derive(Debug, Default)]
struct Tally {
    both: AtomicUsize,
    one: AtomicUsize,
    none: AtomicUsize,
    strays: AtomicUsize,
}

async fn one_order(scene: &Scene, order: Order, expected: &Value, tally: &Tally) -> Result<(), String> {
    let scene = scene.fork();
    let ended = together(&scene, Beside::SetUp, order).await;
    for error in ended.iter().filter_map(|ended| ended.as_ref().err()) {
        let clear = matches!(error.kind, Kind::Conflict | Kind::Refused) && !error.hints.is_empty();
        if !clear {
            return Err(format!("no clear refusal: {error:#?}"));
        }
    }
    let well = ended.iter().filter(|ended| ended.is_ok()).count();
    [&tally.none, &tally.one, &tally.both][well].fetch_add(1, Ordering::SeqCst);
    if well == 0 {
        scene.set_up(&scene.rehearsal.line()).await.map_err(|error| format!("a third run: {error:#?}"))?;
    }
    tally.strays.fetch_add(scene.keys_that_go(), Ordering::SeqCst);
    let found = scene.state();
    if found == *expected { Ok(()) } else { Err(format!("another end ({well} went well):\n{}", difference(expected, &found))) }
}

fn in_all_orders(name: &str, scene: impl Future<Output = Scene>, orders: impl Fn(usize) -> Vec<Order>) -> (usize, Tally) {
    let started = Instant::now();
    let scene = at_once(scene);
    let (calls, expected) = at_once(end_of(&scene));
    let (orders, tally) = (orders(calls.len()), Tally::default());
    let wrong =
        side_by_side(&orders, |order| at_once(one_order(&scene, *order, &expected, &tally)).map_err(|why| format!("{order:?}: {why}")));
    println!("{name}: {} orders in {:.1?}: {tally:?}, {} wrong", orders.len(), started.elapsed(), wrong.len());
    let some: Vec<&String> = wrong.iter().take(10).collect();
    assert!(wrong.is_empty(), "{} of {} orders went wrong: {some:#?}", wrong.len(), orders.len());
    (orders.len(), tally)
}

/// How many orders a quick run tries.
const QUICK: usize = 25;

/// A switch at every call, a few regular ones, and the rest by chance.
fn orders(calls: usize, by_chance: usize) -> Vec<Order> {
    let seed = depth::seed();
    println!("{SEED}={seed}");
    let mut chance = Chance::new(seed);
    let within = (0..=calls).map(Order::Within);
    let turns = (1..=6).flat_map(|one| (1..=6).map(move |other| Order::Turns(one, other)));
    let by_chance = (0..by_chance).map(|index| Order::Chance { seed: seed ^ chance.below(1 << 40) as u64, burst: 1 + index % 12 });
    depth::sampled("orders", within.chain(turns).chain(by_chance).collect(), QUICK)
}

#[test]
fn two_new_setups_at_once_end_as_one() {
    let (tried, tally) = in_all_orders("new", Scene::fresh(HOME, Policies::Article), |calls| orders(calls, 500));
    assert!(tried >= if depth::full() { 500 } else { QUICK }, "{tried}");
    // Often both had made a key before either had named one.
    assert!(tally.strays.into_inner() > tried / 12);
    assert_eq!(tally.both.into_inner(), tried);
}

#[test]
fn two_setups_across_regions_at_once_end_as_one() {
    let (tried, _) = in_all_orders("cross-region", Scene::fresh("eu-west-1", Policies::LeastPrivilege), |calls| orders(calls, 100));
    assert!(tried >= if depth::full() { 200 } else { QUICK }, "{tried}");
}

#[test]
fn two_adoptions_at_once_end_as_one() {
    let (tried, _) = in_all_orders("adopting", Scene::adopting(), |calls| orders(calls, 100));
    assert!(tried >= if depth::full() { 200 } else { QUICK }, "{tried}");
}

/// Lets a teardown run beside a set-up, and then a set-up alone.
async fn one_order_of_both(scene: &Scene, order: Order, expected: &Value, tally: &Tally) -> Result<(), String> {
    let scene = scene.fork();
    let ended = together(&scene, Beside::TearDown, order).await;
    for error in ended.iter().filter_map(|ended| ended.as_ref().err()) {
        if matches!(error.kind, Kind::Internal) || error.hints.is_empty() {
            return Err(format!("no clear end: {error:#?}"));
        }
    }
    let well = ended.iter().filter(|ended| ended.is_ok()).count();
    [&tally.none, &tally.one, &tally.both][well].fetch_add(1, Ordering::SeqCst);
    let line = scene.rehearsal.line();
    let last = match scene.set_up(&line).await {
        // The key is to be deleted, and is still the alias's: the refusal says with which command it stays.
        Err(error) if error.kind == Kind::Refused && error.hints.iter().any(|hint| hint.contains("cancel-key-deletion")) => {
            tally.strays.fetch_add(1, Ordering::SeqCst);
            scene.keep_named_keys(&line).await;
            scene.set_up(&line).await
        }
        other => other,
    };
    last.map_err(|error| format!("a run alone ({well} went well): {error:#?}"))?;
    let found = undescribed(scene.state());
    if found == *expected { Ok(()) } else { Err(format!("another end ({well} went well):\n{}", difference(expected, &found))) }
}

/// Leaves out how policies are described: one that a teardown deleted has our words afterwards. And the mark by which a later teardown
/// knows that the bucket's notification is ours to turn off: a set-up that found it on while it was being turned off leaves it on then.
fn undescribed(mut state: Value) -> Value {
    for account in state["accounts"].as_object_mut().unwrap().values_mut() {
        for policy in account["policies"].as_object_mut().into_iter().flat_map(|policies| policies.values_mut()) {
            policy["description"] = Value::Null;
        }
        for rule in account["rules"].as_object_mut().into_iter().flat_map(|rules| rules.values_mut()) {
            rule["tags"].as_object_mut().map(|tags| tags.remove("xdeploy:eventbridge"));
        }
    }
    state
}

#[test]
fn a_teardown_beside_a_setup_takes_nothing_of_others_along() {
    let scene = at_once(async {
        let scene = Scene::adopting().await;
        scene.set_up(&scene.rehearsal.line()).await.unwrap();
        scene
    });
    let (calls, expected) = at_once(end_of(&scene));
    let expected = undescribed(expected);
    let (orders, tally) = (orders(calls.len(), 100), Tally::default());
    let wrong = side_by_side(&orders, |order| {
        at_once(one_order_of_both(&scene, *order, &expected, &tally)).map_err(|why| format!("{order:?}: {why}"))
    });
    println!("teardown beside setup: {} orders: {tally:?}, {} wrong", orders.len(), wrong.len());
    let some: Vec<&String> = wrong.iter().take(3).collect();
    assert!(wrong.is_empty(), "{} of {} orders went wrong: {some:#?}", wrong.len(), orders.len());
}
