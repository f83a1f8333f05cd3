import statistics

from hypothesis import given
from hypothesis import strategies as st

from steersman import Window
from steersman_plugins.courses import Course, Courses, deviation
from steersman_plugins.trends import setback

values = st.lists(st.floats(-100, 100) | st.sampled_from([0.0, 1.0, 1.5]), min_size=2, max_size=40)


@given(values, st.integers(0, 30))
def test_a_course_says_what_a_setback_says(numbers, forgotten):
    """Pushed one by one, the oldest forgotten, a course comes to what `setback` works out anew, to the last digit."""
    course = Course()
    for number in numbers:
        course.push(number)
    kept = numbers[min(forgotten, len(numbers) - 2) :]
    for _ in range(len(numbers) - len(kept)):
        course.drop_oldest()
    above, limit = setback(tuple(kept), 6.0, 0.12)
    assert list(course) == kept
    assert course.setback(6.0, 0.12) == ((above, limit) if above > limit > 0 else None)


@given(st.lists(st.floats(-1e3, 1e3) | st.sampled_from([0.0, 1.0]), max_size=40))
def test_the_deviation_of_values_in_order(numbers):
    """The median absolute deviation, found without looking at each value, is the one that sorting finds."""
    expected = 0.0
    if numbers:
        middle = statistics.median(numbers)
        expected = statistics.median(abs(number - middle) for number in numbers)
    assert deviation(sorted(numbers)) == expected


def window(step, loss=None, reward=None, spread=0.0):
    means = {name: value for name, value in (("loss", loss), ("reward", reward)) if value is not None}
    return Window(step, step + 1, None, means, {"reward": spread} if reward is not None else {}, {}, 1)


@given(st.lists(st.tuples(st.none() | st.floats(0, 9), st.none() | st.floats(0, 9)), min_size=3, max_size=30))
def test_followed_or_looked_at_anew(means):
    """Followed check by check, with at most ten windows kept, courses hold what they hold of the last windows alone."""
    followed, windows = Courses(), ()
    for step, (loss, reward) in enumerate(means):
        windows = (*windows, window(step, loss, reward, (reward or 0.0) / 3))[-10:]
        followed.follow(windows)
        followed.follow(windows)  # asked twice at one check
        anew = Courses()
        anew.follow(windows)
        for one, other in ((followed.losses, anew.losses), (followed.falls, anew.falls)):
            assert (list(one), one.setback(6.0, 0.12)) == (list(other), other.setback(6.0, 0.12))
        assert (followed.variances, followed.usual) == (anew.variances, anew.usual)


def test_a_run_that_begins_anew():
    """Where the windows of before are gone, nothing is left of them."""
    courses = Courses()
    old = tuple(window(step, loss=9.0) for step in range(5))
    courses.follow(old)
    courses.follow((window(7, loss=1.0), window(8, loss=2.0)))
    assert list(courses.losses) == [1.0, 2.0]
