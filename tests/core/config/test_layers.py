import pytest

from steersman import ConfigError
from steersman.config import read
from steersman.loading import load

HOUSE = """
from attrs import define
from steersman import hookimpl


@define(eq=False)
class Quiet:
    @hookimpl
    def on_log(self, run, log):
        pass
"""


def problems_of(source):
    with pytest.raises(ConfigError) as caught:
        read(source, environment={})
    return list(caught.value.problems)


def layers_of(source, **environment):
    return [layer.name for layer in read(source, environment=environment).layers]


def names(config):
    return [use.name for use in config.use]


def test_each_layer_has_a_name(write):
    """The layers are there from the lowest to the uppermost, named as a person would look for them."""
    base = write("shared/base.yaml", "mode: act\nextends: origin\n")
    path = write("steersman.yaml", "extends: shared/base.yaml\n")
    assert layers_of(path, STEERSMAN__MODE="observe") == [
        "default (shipped)", "origin (shipped)", str(base), str(path), "environment variable STEERSMAN__MODE",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (None, ["default (shipped)"]),
        ({"mode": "act"}, ["default (shipped)", "the config given in Python"]),
        ({"extends": []}, ["the config given in Python"]),
        ({"extends": "no-rails"}, ["no-rails (shipped)", "the config given in Python"]),
    ],
)
def test_the_layers_of_little(source, expected):
    """Without a word the default is the only layer; `extends: []` leaves none below."""
    assert layers_of(source) == expected


def test_a_config_of_another_distribution(distribution):
    """An installed config is named with the distribution that ships it."""
    distribution(
        "fleet", {"fleet": "fleet_layers:FLEET"}, {"fleet_layers": "FLEET = {'use': []}"}, group="steersman.configs"
    )
    assert layers_of({"extends": "fleet"}) == ["default (shipped)", "fleet (fleet 1.0)", "the config given in Python"]


def test_the_default_lies_below_all(write):
    """What a parent extends by saying nothing does not hide what another parent says."""
    write("a.yaml", "use: [eval-loss]\n")
    write("b.yaml", "mode: act\n")
    path = write("steersman.yaml", "extends: [a.yaml, b.yaml]\n")
    assert names(read(path, environment={})) == ["eval-loss"]
    assert layers_of(path)[0] == "default (shipped)"
    assert layers_of(path).count("default (shipped)") == 1


def test_the_default_where_it_is_named(write):
    """`default` named among the parents is laid where it is named."""
    path = write("steersman.yaml", "extends: [origin, default]\n")
    used = read(path, environment={}).use
    assert [use.name for use in used] == [use.name for use in read(None, environment={}).use]
    assert [dict(use.options) for use in used if use.name == "trend-health"] == [{"preset": "guarded"}]


def test_the_fault_of_a_parent_names_the_parent(write):
    """A fault is told of the file it is in, also where the config above says something sound."""
    base = write("base.yaml", "mode: atc\nrails: {budgt: 3}\nuse: [{eval-loss: {on_error: explode}}]\n")
    path = write("steersman.yaml", "extends: base.yaml\nmode: act\nconsole: 3\n")
    assert problems_of(path) == [
        f"{base}: $.mode: expected one of 'observe', 'advise', 'ask', 'act', got 'atc', did you mean 'act'?",
        f"{base}: $.rails: unknown option 'budgt', did you mean 'budget'?",
        f"{base}: $.use[0].eval-loss.on_error: expected one of 'quarantine', 'raise', 'stop', got 'explode'",
        "$.console: expected true or false, got 3",
    ]


def test_a_parent_on_two_ways(write):
    """A parent that two others extend has its faults told once."""
    base = write("base.yaml", "mode: atc\n")
    write("a.yaml", "extends: base.yaml\n")
    write("b.yaml", "extends: base.yaml\n")
    [problem] = problems_of(write("steersman.yaml", "extends: [a.yaml, b.yaml]\n"))
    assert problem.startswith(f"{base}: $.mode: ")


def test_a_config_that_extends_itself(write):
    """A file that extends itself is told without a way round."""
    path = write("steersman.yaml", "extends: ./steersman.yaml\n")
    assert problems_of(path) == ["$.extends: './steersman.yaml' extends itself"]


def test_a_long_way_round(write):
    """A circle below the config is told with the way round it, by the names that were written."""
    write("a.yaml", "extends: sub/b.yaml\n")
    write("sub/b.yaml", "extends: c.yaml\n")
    last = write("sub/c.yaml", "extends: ../a.yaml\n")
    path = write("steersman.yaml", "extends: a.yaml\n")
    assert problems_of(path) == [f"{last}: $.extends: '../a.yaml' extends itself through 'sub/b.yaml', 'c.yaml'"]


@pytest.mark.parametrize(
    ("extends", "expected"),
    [
        ("[3]", "expected a name or a path, got 3"),
        ("orign", "no config named 'orign', did you mean 'origin'? Installed: default, no-rails, origin, recommended."),
        (
            "./broken.yaml",
            "{folder}/sub/broken.yaml: it does not parse: line 1, column 5: mapping values are not allowed",
        ),
        ("../gone.yaml", "{folder}/gone.yaml: it cannot be read: No such file or directory"),
    ],
)
def test_a_parent_that_extends_what_cannot_be_had(write, tmp_path, extends, expected):
    """What is wrong two levels down names the file that says it."""
    write("sub/broken.yaml", "a: b: c\n")
    base = write("sub/base.yaml", f"extends: {extends}\n")
    [problem] = problems_of(write("steersman.yaml", "extends: sub/base.yaml\n"))
    assert problem.startswith(f"{base}: $.extends: {expected.format(folder=tmp_path)}")


def test_two_files_of_one_name_are_no_circle(write):
    """Files are told apart by where they are, not by how they are named."""
    write("base.yaml", "mode: act\n")
    write("team/base.yaml", "extends: ../base.yaml\nconsole: false\n")
    write("team/mine/base.yaml", "extends: ../base.yaml\n")
    config = read(write("team/mine/steersman.yaml", "extends: base.yaml\n"), environment={})
    assert (config.mode, config.console) == ("act", False)


def test_in_house_files_over_several_levels(write, tmp_path, monkeypatch):
    """Each in-house file is found from the config that names it, from wherever the run is started."""
    write("pyproject.toml", "")
    for folder in ("", "team/", "team/org/"):
        write(f"{folder}quiet.py", HOUSE)
    write("team/org/base.yaml", "use: [./quiet.py:Quiet as org]\n")
    write("team/base.yaml", "extends: org/base.yaml\n")
    top = write("steersman.yaml", "extends: team/base.yaml\n")
    middle = write(
        "team/own.yaml", "extends: org/base.yaml\nuse: [./quiet.py:Quiet as team, ../quiet.py:Quiet as up]\n"
    )
    monkeypatch.chdir("/")
    for path, expected in [(top, [tmp_path / "team" / "org"]), (middle, [tmp_path / "team", tmp_path])]:
        problems = []
        loaded = load(read(path, problems, environment={}), problems)
        assert problems == []
        assert [strategy.origin for strategy in loaded] == [f"the file {folder / 'quiet.py'}" for folder in expected]


def test_in_house_files_of_what_is_journaled(write, tmp_path):
    """What the journal keeps of a config finds its files from the folder of that config."""
    write("sub/quiet.py", HOUSE)
    write("sub/base.yaml", "use: [./quiet.py:Quiet]\n")
    write("quiet.py", HOUSE)
    for text in ("extends: sub/base.yaml\n", "use: [./quiet.py:Quiet]\n"):
        config = read(write("steersman.yaml", text), environment={})
        problems = []
        load(read(config.raw, problems, folder=tmp_path, environment={}), problems)
        assert problems == []


def test_a_pyproject_whose_tool_is_no_table(write):
    """A pyproject.toml whose `tool` is no table has no section of ours."""
    assert problems_of(write("pyproject.toml", "tool = 3\n")) == ["it has no section [tool.steersman]"]
