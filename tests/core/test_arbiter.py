import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steersman import Adjust, Hyperparameter
from steersman.arbiter import arbitrate
from steersman.hyperparameters import SAFER, Entry, OnPaper
from steersman.rails import Bounds, Limits, Offer, Rails
from steersman.registry import Registry
from steersman.schedule import RunPlan

NO_LIMITS = Limits(None, cooldown=0, budget=None, warmup=True, last_share=0.0, adaptive_scheduler=True)
GOLDEN = {
    "learning_rate": 4e-6,
    "kl_penalty": 0.15,
    "max_grad_norm": 0.3,
    "reward_weight": 1.0,
    "reward_threshold": 0.25,
    "temperature": 1.0,
}


def registry_of(**values):
    return Registry(Entry(name, OnPaper(value), "live", safer=SAFER.get(name)) for name, value in values.items())


def acting(*names, **bounds):
    return Rails("act", {**{name: Bounds() for name in (names or GOLDEN)}, **bounds}, NO_LIMITS)


def rule(*adjusts, registry=None, rails=None, **options):
    """Each Adjust is offered by a strategy of its own: a, b, c."""
    offers = [Offer("abcdef"[i], adjust) for i, adjust in enumerate(adjusts)]
    return arbitrate(offers, registry or registry_of(**GOLDEN), rails or acting(), **options)


@pytest.mark.parametrize(
    ("adjust", "new", "percent"),
    [
        (Adjust("learning_rate", scale=0.8, at_least=1e-7), 3.2e-6, -20.0),
        (Adjust("kl_penalty", scale=1.2, at_most=0.3), 0.18, 20.0),
        (Adjust("max_grad_norm", scale=0.8, at_least=0.1), 0.24, -20.0),
        (Adjust("reward_threshold", add=0.02, at_most=0.3), 0.27, 8.0),
    ],
)
def test_the_golden_epoch(adjust, new, percent):
    """The four changes of the golden epoch lead to the values the spec prints."""
    (verdict,) = rule(adjust)
    assert verdict.ruling == "accepted"
    assert verdict.new == pytest.approx(new, rel=1e-12)
    assert 100 * (verdict.new / verdict.old - 1) == pytest.approx(percent)
    assert verdict.ratio == pytest.approx(new / verdict.old)


def test_the_weight_of_one_reward_function_stays_above_zero():
    """`reward_weight[NAME]` is ruled on as `reward_weight`: no change takes it to 0 or turns its sign."""
    name = "reward_weight[length]"
    (verdict,) = rule(Adjust(name, add=-1.0), registry=registry_of(**{name: 1.0}), rails=acting(name))
    assert (verdict.ruling, verdict.reason) == ("refused", "it would be 0, which no reward_weight[length] can be")


@pytest.mark.parametrize("rival", [1.1, 0.9])
@pytest.mark.parametrize("order", [1, -1])
def test_rivals_for_the_kl_penalty(rival, order):
    """The spike's x1.2 beats overfitting's x1.1 and declining's x0.9 in either order: more KL is safer."""
    spike = Adjust("kl_penalty", scale=1.2, at_most=0.3, because="loss-spike")
    other = Adjust("kl_penalty", scale=rival, because="the other rule")
    first, second = rule(*[spike, other][::order])
    won, lost = (first, second) if order == 1 else (second, first)
    assert (won.ruling, won.new) == ("accepted", pytest.approx(0.18))
    assert lost.ruling == "lost"
    winner = "a" if order == 1 else "b"
    assert f"x1.2 of {winner} (loss-spike)" in lost.reason
    assert "the safer wins" in lost.reason


def test_the_resulting_value_is_what_is_safer():
    """A large factor that its bound cuts short loses to a smaller one that leads to the safer value."""
    cut_short = Adjust("kl_penalty", scale=1.9, at_most=0.16, because="large")
    small = Adjust("kl_penalty", scale=1.2, because="small")
    assert [v.ruling for v in rule(cut_short, small)] == ["lost", "accepted"]


def test_changes_do_not_stack():
    """Three rules that cut the learning rate cut it once: 4e-6 becomes 3.2e-6, and the others say why not."""
    verdicts = rule(*(Adjust("learning_rate", scale=0.8, because=rule) for rule in ("spike", "rising", "high")))
    assert [v.ruling for v in verdicts] == ["accepted", "lost", "lost"]
    assert verdicts[0].new == pytest.approx(3.2e-6)
    assert verdicts[1].reason == "a proposes the same for another reason; changes do not stack"


def test_the_lower_learning_rate_wins():
    """Among learning rates the lower is safer, whoever was first."""
    assert [v.ruling for v in rule(Adjust("learning_rate", scale=0.8), Adjust("learning_rate", scale=0.5))] == [
        "lost",
        "accepted",
    ]


def test_where_neither_way_is_safer_the_smaller_change_wins():
    """A reward weight has no safer direction: the smaller change wins."""
    verdicts = rule(Adjust("reward_weight", scale=1.5), Adjust("reward_weight", scale=0.9))
    assert [v.ruling for v in verdicts] == ["lost", "accepted"]


def test_equal_changes_go_by_config_order():
    """Of two equal changes in opposite directions the first in config order wins."""
    verdicts = rule(Adjust("reward_weight", add=0.25), Adjust("reward_weight", add=-0.25))
    assert [v.ruling for v in verdicts] == ["accepted", "lost"]


def test_one_winner_for_each_hyperparameter():
    """Proposals for different hyperparameters do not compete, and verdicts come in the order offered."""
    verdicts = rule(
        Adjust("kl_penalty", scale=1.1), Adjust("learning_rate", scale=0.8), Adjust("kl_penalty", scale=1.2)
    )
    assert [(v.offer.adjust.hyperparameter, v.ruling) for v in verdicts] == [
        ("kl_penalty", "lost"),
        ("learning_rate", "accepted"),
        ("kl_penalty", "accepted"),
    ]


@pytest.mark.parametrize(
    ("value", "adjust"),
    [
        (0.28, Adjust("kl_penalty", scale=1.1, at_most=0.25)),
        (0.25, Adjust("kl_penalty", scale=1.1, at_most=0.25)),
        (0.04, Adjust("kl_penalty", scale=0.9, at_least=0.05)),
        (0.29, Adjust("kl_penalty", add=0.02, at_most=0.2)),
    ],
)
def test_a_bound_never_reverses_a_change(value, adjust):
    """A value at or beyond its rule's bound is left alone: KL 0.28 x1.1 at most 0.25 is refused, not lowered."""
    (verdict,) = rule(adjust, registry=registry_of(kl_penalty=value))
    assert (verdict.ruling, verdict.old, verdict.new) == ("refused", value, value)
    assert "is already at its bound" in verdict.reason


def test_a_bound_shortens_a_change():
    """A rule's bound shortens its change, and the verdict says from what."""
    (verdict,) = rule(Adjust("kl_penalty", scale=1.2, at_most=0.3), registry=registry_of(kl_penalty=0.28))
    assert (verdict.ruling, verdict.new, verdict.ratio) == ("accepted", 0.3, pytest.approx(0.3 / 0.28))
    assert verdict.reason == "0.28 -> 0.3, shortened by its bound from 0.336"


def test_the_config_bounds_every_rule():
    """The bounds of the config hold beside those of the rule; the narrower one counts."""
    rails = acting(learning_rate=Bounds(min=3.5e-6))
    (verdict,) = rule(Adjust("learning_rate", scale=0.8, at_least=1e-7), rails=rails)
    assert verdict.new == 3.5e-6


def test_the_product_of_changes_is_bounded():
    """A learning rate once halved from 8e-6 may fall to 0.4 of it, 3.2e-6, and no further."""
    registry = registry_of(learning_rate=8e-6)
    registry.write("learning_rate", 4e-6, 0.5)
    rails = acting(learning_rate=Bounds(min_factor=0.4))
    (verdict,) = rule(Adjust("learning_rate", scale=0.5), registry=registry, rails=rails)
    assert verdict.new == pytest.approx(3.2e-6)
    registry.write("learning_rate", 3.2e-6, 0.8)
    (verdict,) = rule(Adjust("learning_rate", scale=0.5), registry=registry, rails=rails)
    assert verdict.ruling == "refused"
    rails = acting(learning_rate=Bounds(max_factor=0.45))
    (verdict,) = rule(Adjust("learning_rate", scale=2.0), registry=registry, rails=rails)
    assert verdict.new == pytest.approx(8e-6 * 0.45)


def test_a_change_that_cannot_get_inside_the_bounds():
    """A change towards the bounds that ends outside them is refused."""
    rails = acting(learning_rate=Bounds(max=1e-6))
    (verdict,) = rule(Adjust("learning_rate", scale=0.8), rails=rails)
    assert verdict.ruling == "refused"
    assert "outside its bounds" in verdict.reason


def test_a_change_of_nothing():
    """A factor of one changes nothing and is refused as such."""
    (verdict,) = rule(Adjust("learning_rate", scale=1.0))
    assert (verdict.ruling, verdict.reason) == ("refused", "it would change nothing")


def test_consent():
    """In act a hyperparameter that the config does not name is never changed."""
    verdicts = rule(Adjust("learning_rate", scale=0.8), Adjust("kl_penalty", scale=1.2), rails=acting("kl_penalty"))
    assert [v.ruling for v in verdicts] == ["refused", "accepted"]
    assert "not named under `hyperparameters:`" in verdicts[0].reason


@pytest.mark.parametrize("mode", ["observe", "advise"])
def test_modes_that_change_nothing(mode):
    """In observe and advise a change is worked out and advised, without consent; nobody is asked for a veto."""
    asked = []
    (verdict,) = rule(Adjust("learning_rate", scale=0.8), rails=Rails(mode), veto=asked.append)
    assert (verdict.ruling, verdict.new) == ("advised", pytest.approx(3.2e-6))
    assert verdict.reason.endswith(f"not applied: the mode is {mode}")
    assert asked == []


@pytest.mark.parametrize("status", ["inert", "unsupported"])
def test_what_is_not_live_is_refused_with_the_reason(status):
    """A hyperparameter that is inert or unsupported is refused, and its own reason is given."""
    registry = Registry([Entry("temperature", OnPaper(1.0), status, "it is read once")])
    (verdict,) = rule(Adjust("temperature", scale=1.1), registry=registry)
    assert (verdict.ruling, verdict.reason) == ("refused", f"temperature is {status}: it is read once")


def test_an_unknown_hyperparameter_is_unsupported():
    """A hyperparameter nobody has heard of is refused as unsupported."""
    (verdict,) = rule(Adjust("lerning_rate", scale=0.8), rails=acting("lerning_rate"))
    assert (verdict.ruling, verdict.reason) == (
        "refused",
        "lerning_rate is unsupported: this trainer has no such hyperparameter, did you mean 'learning_rate'?",
    )


def test_an_unknown_value_is_unknown():
    """Where the value is not known the verdict is unknown and claims no number."""
    (verdict,) = rule(Adjust("kl_penalty", scale=1.2), registry=registry_of(kl_penalty=None))
    assert (verdict.ruling, verdict.old, verdict.new) == ("unknown", None, None)
    assert verdict.reason == "the value of kl_penalty is not known here"


def test_a_value_that_cannot_be_read_is_unknown():
    """A getter of the user's that raises does not reach the training loop: the value is unknown."""
    broken = Hyperparameter("mine", lambda: 1 / 0, lambda value: None)
    (verdict,) = rule(
        Adjust("mine", scale=0.5), registry=Registry([Entry("mine", broken, "live")]), rails=acting("mine")
    )
    assert verdict.ruling == "unknown"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_not_finite_is_left_alone(value):
    """A hyperparameter that is NaN or infinite is not changed."""
    (verdict,) = rule(Adjust("kl_penalty", scale=1.2), registry=registry_of(kl_penalty=value))
    assert (verdict.ruling, verdict.reason) == ("refused", f"kl_penalty is {value}")


def test_the_owner_wins():
    """The owner the config names wins over a safer rival, which is told who owns it."""
    rails = acting(learning_rate=Bounds(owner="b"))
    verdicts = rule(Adjust("learning_rate", scale=0.5), Adjust("learning_rate", scale=0.9), rails=rails)
    assert [v.ruling for v in verdicts] == ["lost", "accepted"]
    assert verdicts[0].reason == "its owner is b"


def test_nobody_but_the_owner_changes_it():
    """Where the owner proposes nothing, nobody else may either: the owner alone changes it."""
    (verdict,) = rule(Adjust("learning_rate", scale=0.5), rails=acting(learning_rate=Bounds(owner="b")))
    assert (verdict.ruling, verdict.reason) == ("refused", "its owner is b")


def test_a_veto():
    """The winner may be vetoed, with the reason; those who lost are not asked about and do not move up."""
    asked = []

    def veto(adjust):
        asked.append(adjust)
        return "our policy"

    verdicts = rule(Adjust("learning_rate", scale=0.8), Adjust("learning_rate", scale=0.5), veto=veto)
    assert [v.ruling for v in verdicts] == ["lost", "vetoed"]
    assert verdicts[1].reason == "our policy"
    assert asked == [Adjust("learning_rate", scale=0.5)]


def test_the_last_step():
    """After the last step no change could act, so it is refused, in every mode."""
    for mode in ("observe", "advise", "act"):
        rails = Rails(mode, {"learning_rate": Bounds()}, plan=RunPlan(100), step=100)
        (verdict,) = rule(Adjust("learning_rate", scale=0.8), rails=rails)
        assert (verdict.ruling, verdict.reason) == ("refused", "no step is left that a change could act on")


def test_no_offers():
    """Without proposals there is nothing to rule on."""
    assert rule() == []


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        (Bounds(), "no bounds"),
        (Bounds(min=1e-7), ">= 1e-07"),
        (Bounds(min=0.05, max=0.3), ">= 0.05 and <= 0.3"),
        (Bounds(min=-1.0), ">= -1"),
        (Bounds(max=2.0, min_factor=0.5, max_factor=2.0), "<= 2 and factor 0.5 to 2"),
    ],
)
def test_bounds_in_words(bounds, words):
    """Bounds read as a person writes them."""
    assert str(bounds) == words


positive = st.floats(1e-9, 1e3)


@given(positive, st.floats(0.01, 100.0), st.none() | positive, st.none() | positive, st.none() | positive)
def test_no_change_leaves_the_rails(value, scale, at_least, at_most, least):
    """Whatever is offered, an accepted change goes the way it was meant to, and ends inside every bound."""
    rails = acting(kl_penalty=Bounds(min=least or -math.inf))
    adjust = Adjust("kl_penalty", scale=scale, at_least=at_least, at_most=at_most)
    (verdict,) = rule(adjust, registry=registry_of(kl_penalty=value), rails=rails)
    if verdict.ruling != "accepted":
        assert verdict.new == verdict.old == value
        return
    assert (verdict.new > value) == (scale > 1)
    assert abs(verdict.new - value) <= abs(value * scale - value)
    assert (at_least or 0.0) <= verdict.new <= (at_most or math.inf)
    assert verdict.new >= (least or 0.0)


@pytest.mark.parametrize("adjust", [Adjust("learning_rate", scale=1e300), Adjust("learning_rate", add=-1.0)])
def test_a_rate_never_becomes_infinite_or_zero(adjust):
    """A change to infinity, or to zero and below, is refused although no bound forbids it."""
    registry = registry_of(learning_rate=1e10 if adjust.scale else 1.0)
    (verdict,) = rule(adjust, registry=registry, rails=acting("learning_rate"))
    assert verdict.ruling == "refused"
    assert "which no learning_rate can be" in verdict.reason
