import math

import pytest

from steersman import Hyperparameter
from steersman.hyperparameters import SAFER, Entry, OnPaper
from steersman.registry import Registry


class Model:
    """Something of the user's that has a hyperparameter."""

    def __init__(self, value=0.1):
        self.value = value
        self.writes = []

    def set(self, value):
        self.writes.append(value)
        self.value = value


def registry_of(model, name="label_smoothing", **options):
    handle = Hyperparameter(name, lambda: model.value, options.pop("set", model.set), **options)
    return Registry([Entry(name, handle, "live", safer=handle.safer)])


def test_which_way_is_safer():
    """The directions the spec gives: learning rate, clip and temperature down, the KL penalty up, rewards neither."""
    assert SAFER == {
        "learning_rate": "down",
        "max_grad_norm": "down",
        "kl_penalty": "up",
        "reward_weight": None,
        "reward_threshold": None,
        "temperature": "down",
    }


def test_a_write_is_read_back():
    """A value is written, read back, and the factor is the product of all changes."""
    model = Model(0.2)
    registry = registry_of(model)
    written = registry.write("label_smoothing", 0.1, 0.5)
    assert (written.old, written.new, written.read_back, written.error) == (0.2, 0.1, 0.1, "")
    registry.write("label_smoothing", 0.08, 0.8)
    seen = registry.view("label_smoothing")
    assert (seen.value, seen.factor, seen.status) == (0.08, pytest.approx(0.4), "live")


def test_a_write_that_does_not_stick():
    """A setter without effect makes the hyperparameter inert, with what was read as the reason, and no factor."""
    model = Model(0.2)
    registry = registry_of(model, set=lambda value: None)
    written = registry.write("label_smoothing", 0.1, 0.5)
    assert written.error == "it was set to 0.1 and reads 0.2"
    entry = registry.get("label_smoothing")
    assert (entry.status, entry.reason, entry.factor, entry.changed) == ("inert", written.error, 1.0, False)


def test_a_write_that_half_sticks_is_put_back():
    """A setter that clips to something else is undone: the old value is in force again."""
    model = Model(0.2)
    registry = registry_of(model, set=lambda value: model.set(max(value, 0.15)))
    assert registry.write("label_smoothing", 0.1, 0.5).error == "it was set to 0.1 and reads 0.15"
    assert model.value == 0.2


def test_a_write_that_raises():
    """A setter that raises makes the hyperparameter inert and names the error; the run goes on."""

    def broken(value):
        raise RuntimeError("frozen config")

    registry = registry_of(Model(), set=broken)
    written = registry.write("label_smoothing", 0.05, 0.5)
    assert written.error == "writing it raised RuntimeError: frozen config"
    assert registry.get("label_smoothing").status == "inert"


def test_a_read_that_raises():
    """A getter that raises is a value not known, for strategies and for a write."""

    def broken():
        raise AttributeError("no such field")

    registry = Registry([Entry("mine", Hyperparameter("mine", broken, lambda value: None), "live")])
    assert registry.get("mine").value is None
    assert registry.view("mine").value is None
    written = registry.write("mine", 1.0, 0.5)
    assert math.isnan(written.old)
    assert written.error == "it cannot be read"


def test_an_unknown_name_is_unsupported():
    """A name nobody registered is unsupported, with the reason, and has no value."""
    entry = Registry().get("temperature")
    assert (entry.status, entry.reason, entry.value) == ("unsupported", "this trainer has no such hyperparameter", None)
    assert Registry().view("temperature").value is None


def test_save_and_restore():
    """A resumed run puts the saved value and factor in force; doing so twice is doing it once."""
    straight = registry_of(Model(0.2))
    straight.write("label_smoothing", 0.1, 0.5)
    saved = straight.save()
    assert saved == {"label_smoothing": {"saved": 0.1, "factor": 0.5, "original": 0.2}}
    model = Model(0.2)
    resumed = registry_of(model)
    assert resumed.restore(saved) == ()
    assert resumed.restore(saved) == ()
    assert (model.value, resumed.view("label_smoothing").factor) == (0.1, 0.5)


def test_what_was_not_changed_is_not_saved():
    """A checkpoint carries changed hyperparameters only."""
    assert registry_of(Model()).save() == {}


def test_what_cannot_be_restored_is_said():
    """A value saved for a hyperparameter that is gone or fails now is a sentence, not an error."""
    saved = {"temperature": {"saved": 0.9, "factor": 0.9}}
    assert Registry().restore(saved) == (
        "temperature was changed before the resume and cannot be set now: this trainer has no such hyperparameter",
    )

    def broken(value):
        raise RuntimeError("frozen config")

    registry = registry_of(Model(), name="temperature", set=broken)
    assert registry.restore(saved) == ("temperature could not be restored: RuntimeError: frozen config",)


def test_release_puts_back_what_the_user_had():
    """After a run, also a resumed one, the user's own value is in force again; an untouched one was never written."""
    model, untouched = Model(0.2), Model(0.7)
    registry = registry_of(model)
    registry.entries |= registry_of(untouched, name="dropout").entries
    registry.restore({"label_smoothing": {"saved": 0.1, "factor": 0.5, "original": 0.2}})
    registry.write("label_smoothing", 0.05, 0.5)
    assert registry.release() == ()
    assert registry.release() == ()
    assert (model.value, model.writes) == (0.2, [0.1, 0.05, 0.2])
    assert untouched.writes == []


def test_a_release_that_raises_is_said():
    """A value that cannot be put back is a sentence, and the others are put back all the same."""
    model, stuck = Model(0.2), Model(0.3)

    def once(value):
        if stuck.writes:
            raise RuntimeError("frozen config")
        stuck.set(value)

    registry = registry_of(stuck, name="stuck", set=once)
    registry.entries |= registry_of(model).entries
    registry.write("stuck", 0.15, 0.5)
    registry.write("label_smoothing", 0.1, 0.5)
    assert registry.release() == ("stuck could not be put back: RuntimeError: frozen config",)
    assert model.value == 0.2


def test_on_paper():
    """A value kept on paper is read, written and restored without a trainer."""
    registry = Registry([Entry("learning_rate", OnPaper(4e-6), "live")])
    assert registry.write("learning_rate", 2e-6, 0.5).read_back == 2e-6
    assert registry.save() == {"learning_rate": {"saved": 2e-6, "factor": 0.5, "original": 4e-6}}
    assert registry.release() == ()
    assert Registry([Entry("kl_penalty", OnPaper(), "live")]).view("kl_penalty").value is None
