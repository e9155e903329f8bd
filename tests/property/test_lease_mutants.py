"""Mistakes planted in the lending of rights: seeded walks find each of them, and none in the right rule."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

import pytest

from engagement.rights.account import Books
from engagement.rights.lending import Asking, Lent, NotLent, lend
from tests.fakes.lease_world import BUDGET_UNITS, CAMPAIGNS, LIABILITY_MINOR, Box, Rule, World, new_world, one

Move = Callable[[World, Random], None]
STEPS = 70
# Each mistake shows in several of these; the right rule is walked through all of them.
SEEDS = range(300)


def a_box(world: World, random: Random) -> Box:
    return random.choice(world.boxes)


def converse(world: World, random: Random) -> None:
    world.converse(a_box(world, random), {random.choice(CAMPAIGNS): random.randrange(9)})


def issue(world: World, random: Random) -> None:
    box, campaign = a_box(world, random), random.choice(CAMPAIGNS)
    for _ in range(random.randrange(1, 6)):
        box.issue(campaign, LIABILITY_MINOR)


def give_back(world: World, random: Random) -> None:
    a_box(world, random).give_back(random.choice(CAMPAIGNS), one(random.randrange(1, 4), LIABILITY_MINOR))


def ask(world: World, random: Random) -> None:
    box = a_box(world, random)
    again = box.unanswered if random.random() < 0.5 else None
    world.send(box, again or box.ask({random.choice(CAMPAIGNS): random.randrange(9)}))


def serve(world: World, random: Random) -> None:
    if world.asked:
        is_kept = random.random() < 0.8
        place, again = random.randrange(len(world.asked)), random.random() < 0.2
        world.serve(place, is_kept=is_kept, is_answered=is_kept and random.random() < 0.8, again=again)


def take(world: World, random: Random) -> None:
    if world.answered:
        world.take(random.randrange(len(world.answered)))


def crash(world: World, random: Random) -> None:
    a_box(world, random).exchange = None


def back_up(world: World, random: Random) -> None:
    world.back_up()


def restore(world: World, random: Random) -> None:
    if world.backups:
        world.restore(random.randrange(len(world.backups)))


MOVES: dict[Move, int] = {
    converse: 30, issue: 25, give_back: 8, ask: 8, serve: 12, take: 8, crash: 3, back_up: 2, restore: 2
}  # fmt: skip


@dataclass(frozen=True)
class Mistake:
    """``rule``: what HQ does instead of lend(); ``moves``: what happens besides, or, with the same name, instead."""

    name: str
    rule: Rule = lend
    moves: tuple[Move, ...] = ()


def walk(seed: int, mistake: Mistake) -> None:
    """Errors: AssertionError at the first step after which something does not hold."""
    random, world = Random(seed), new_world()
    world.rule = mistake.rule
    replaced = {move.__name__ for move in mistake.moves}
    moves = {move: weight for move, weight in MOVES.items() if move.__name__ not in replaced}
    moves |= dict.fromkeys(mistake.moves, 4)
    for move in random.choices(list(moves), list(moves.values()), k=STEPS):
        move(world, random)
        world.check()


def credits_twice(books: Books, asking: Asking) -> Lent | NotLent:
    """A return that is told again frees again, as if it were a difference and not a total."""
    ruled = lend(books, asking)
    if asking.request.number != books.desk.number or not isinstance(ruled, Lent):
        return ruled
    accounts, outstanding = dict(ruled.books.accounts), dict(ruled.books.outstanding)
    for held in asking.request.accounts:
        account = accounts[held.campaign]
        accounts[held.campaign] = replace(account, granted=account.granted - held.returned)
        outstanding[held.campaign] = outstanding[held.campaign] - held.returned
    return replace(ruled, books=replace(ruled.books, accounts=accounts, outstanding=outstanding))


def reclaim(world: World, random: Random) -> None:
    """HQ takes a silent agent's rights as returned."""
    key, file = a_box(world, random).key, world.file
    for campaign, account in file.accounts.get(key, {}).items():
        file.accounts[key][campaign] = replace(account, returned=account.returned + account.held)
        file.outstanding[campaign] = file.outstanding.get(campaign, account.held) - account.held


def answer_and_crash(world: World, random: Random) -> None:
    """HQ answers before its commit."""
    if world.asked:
        world.serve(random.randrange(len(world.asked)), is_kept=False)
        world.take(len(world.answered) - 1)


def restored_as_it_was() -> Move:
    def restore(world: World, random: Random) -> None:
        """Without a new incarnation, and so without a fence."""
        if world.backups:
            world.file = random.choice(world.backups).copy()

    return restore


def restored_unfenced() -> Move:
    def restore(world: World, random: Random) -> None:
        """With a new incarnation that waits for nobody."""
        if world.backups:
            world.restore(random.randrange(len(world.backups)))
            world.file.is_fenced = False

    return restore


def return_and_crash(world: World, random: Random) -> None:
    """An agent tells of a return before it is on its own disk."""
    box = a_box(world, random)
    before = dict(box.accounts)
    give_back(world, random)
    box.give_back(random.choice(CAMPAIGNS), one(3, LIABILITY_MINOR))
    world.send(box, box.ask({}))
    box.accounts = before


MISTAKES = [
    Mistake("a surrender credited twice", rule=credits_twice),
    Mistake("rights reclaimed by time", moves=(reclaim,)),
    Mistake("a grant not durable", moves=(answer_and_crash,)),
    Mistake("restored as it was", moves=(restored_as_it_was(),)),
    Mistake("restored without a fence", moves=(restored_unfenced(),)),
    Mistake("a return not durable", moves=(return_and_crash,)),
]


def walk_all(mistake: Mistake) -> None:
    for seed in SEEDS:
        walk(seed, mistake)


def test_the_right_rule_passes_every_walk() -> None:
    walk_all(Mistake("none"))


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_each_mistake_is_caught(mistake: Mistake) -> None:
    with pytest.raises(AssertionError, match=r"over-issued|over-granted|do not add up|more used"):
        walk_all(mistake)


def held_up_request() -> World:
    """A request is on its way while its agent is granted more, by an HQ that is then put back to before."""
    world = new_world()
    box = world.boxes[0]
    world.converse(box, {})
    world.back_up()
    world.send(box, box.ask({}))
    for _ in range(9):
        world.converse(box, dict.fromkeys(CAMPAIGNS, 9))
    world.restore(0)
    return world


def lifted_by_any_request(books: Books, asking: Asking) -> Lent | NotLent:
    ruled = lend(books, asking)
    heard = replace(ruled.books, awaited=ruled.books.awaited - {asking.agent}, is_heard=True)
    return replace(ruled, books=heard)


@pytest.mark.parametrize(("rule", "is_awaited"), [(lend, True), (lifted_by_any_request, False)])
def test_a_request_of_the_old_days_lifts_no_fence(rule: Rule, *, is_awaited: bool) -> None:
    world = held_up_request()
    world.rule = rule
    world.serve(0, is_answered=False)
    assert (world.boxes[0].key.agent in world.file.awaited(world.expected)) is is_awaited
    for other in world.boxes[1:]:
        for _ in range(9):
            world.converse(other, dict.fromkeys(CAMPAIGNS, 9))
    given = sum(box.accounts[CAMPAIGNS[0]].outstanding.units for box in world.boxes)
    assert (given <= BUDGET_UNITS) is is_awaited


def test_a_grant_whose_answer_was_lost_can_be_surrendered() -> None:
    world = new_world()
    box = world.boxes[0]
    world.send(box, box.ask({}))
    world.serve(0, is_answered=False)
    world.give_up(box.key.agent)
    for _ in range(4):
        world.converse(box, {})
    world.check()
    assert world.file.accounts[box.key] == box.accounts
    assert not world.file.desks[box.key].is_written_off
