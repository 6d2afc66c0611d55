"""Answers that are in no list, and the words with which a check refuses them."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mnist_course.checks import COURSE, bug_museum, check, data, faster, network, training
from mnist_course.data import normalize


@pytest.fixture(autouse=True)
def no_progress(monkeypatch):
    monkeypatch.setenv("MNIST_COURSE_PROGRESS", "off")


# ---- networks


class Skips(nn.Module):
    "Narrow layers whose outputs are added to what went in: each sees a little more."

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.end = nn.Linear(4 * 7 * 7, 10)

    def forward(self, x):
        x = self.first(x)
        x = x + self.second(x)
        return self.end(F.max_pool2d(x, 4).flatten(1))


class Windowed(nn.Module):
    "A window without a layer of its own, and wider than the task allows."

    def __init__(self):
        super().__init__()
        self.conv, self.end = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(4 * 4 * 4, 10)

    def forward(self, x):
        return self.end(self.conv(F.max_pool2d(x, 7)).flatten(1))


class Bridged(nn.Module):
    "Two ways that join: the long one sees much more than the bridge, which comes last."

    def __init__(self):
        super().__init__()
        self.first, self.bridge = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
        self.way = nn.Sequential(*[nn.Conv2d(4, 4, 3, padding=1) for _ in range(3)])
        last = nn.Conv2d(8, 4, 5, padding=2)
        self.rest = nn.Sequential(nn.MaxPool2d(4), last, nn.Flatten(), nn.Linear(4 * 7 * 7, 10))

    def forward(self, x):
        x = self.first(x)
        return self.rest(torch.cat([self.way(x), self.bridge(x)], dim=1))


class Around(nn.Module):
    "The solution's small network, with something done to its input or to its output."

    def __init__(self, before=lambda x: x, after=lambda x: x):
        super().__init__()
        self.net, self.before, self.after = COURSE["03.small_net"].solution(), before, after

    def forward(self, x):
        return self.after(self.net(self.before(x)))


def averages():
    "Every pixel counts as much as every other: three windows and a kernel of one pixel."
    windows = [nn.AvgPool2d(3, 3, padding=1), nn.AvgPool2d(5, 5), nn.AvgPool2d(2)]
    return nn.Sequential(*windows, nn.Conv2d(1, 10, 1), nn.Flatten())


def alone():
    "It takes one digit at a time: the last layer reads the whole batch in one row."
    layers = [nn.Conv2d(1, 4, 4, stride=3), nn.Conv2d(4, 4, 3, stride=3), nn.Conv2d(4, 4, 3)]
    return nn.Sequential(*layers, nn.Flatten(0), nn.Linear(4, 10), nn.Unflatten(0, (1, 10)))


class Mended(network.Digits):
    "The mended network, with something done to its input or to its output."

    def __init__(self, before=lambda x: x, after=lambda y: y):
        super().__init__()
        self.before, self.after = before, after

    def forward(self, x):
        return self.after(super().forward(self.before(x)))


# ---- functions


class Refuses(nn.Module):
    def forward(self, x):
        raise NotImplementedError("later")


def labels_in_a_column(images, labels, size):
    x, y = COURSE["01.mended_batch"].solution(images, labels, size)
    return x, y[:, None]


class NowAndThen:
    "A right batch, but some calls do something else: one in three, or the first alone."

    def __init__(self, otherwise, first=False):
        self.otherwise, self.first, self.calls = otherwise, first, 0

    def __call__(self, images, labels, size):
        x, y = COURSE["01.mended_batch"].solution(images, labels, size)
        self.calls += 1
        odd = self.calls == 1 if self.first else self.calls % 3 == 0
        return self.otherwise(x, y) if odd else (x, y)


def labels_moved_on(x, y):
    return x, (y + 1) % 10


def first_one_twice(x, y):
    return x[[0, 0, *range(2, len(x))]], y[[0, 0, *range(2, len(y))]]


def one_too_few(images, labels, size):
    x, y = COURSE["01.mended_batch"].solution(images, labels, size)
    return x[1:], y


class Twofold(nn.Module):
    def forward(self, x):
        return x, x


def takes_all_hooks_away(model, x):
    for part in model.modules():
        part._forward_hooks.clear()
    return "7"


def begins_with_nothing(accuracy):
    assert accuracy([]) == 0
    COURSE["12.pins_accuracy"].solution(accuracy)


def last_one_odd(images, labels, size):
    return [*COURSE["14.batches"].solution(images, labels, size)[:-1], (images, labels, size)]


def images_and_labels_apart(images, labels, size):
    return [*normalize(images).split(size), *labels.split(size)]


def gives_up(model, layer, x):
    raise RuntimeError("no idea")


WORDS = [
    ("01.honest_order", "CHGBFZ", "There is no line 'Z': the letters go from A to J."),
    ("01.honest_order", "CHGBFF", "Line F is in it twice."),
    ("01.honest_order", "CHGBF", "every line is in its place. But nothing is printed yet."),
    ("01.honest_order", 3, "and this is an int."),
    ("01.mended_batch", labels_in_a_column, "y: expected `'int64 (2,)'`, got `'int64 (2, 1)'`"),
    ("01.mended_batch", one_too_few, "x: expected `'float32 (2, 1, 1, 3)'`, got"),
    ("01.mended_batch", lambda *case: 3, "expected `'two tensors, x and y'`, got `'an int'`"),
    ("01.mended_batch", lambda *case: torch.zeros(2, 3), "got `'a float32 tensor of shape (2, 3)'"),
    ("01.mended_batch", NowAndThen(labels_moved_on), "each image with its own label': False"),
    ("01.mended_batch", NowAndThen(labels_moved_on), "'black': -0.4242, 'white': 2.8215,"),
    ("01.mended_batch", NowAndThen(labels_moved_on, True), "own label': False"),
    ("01.mended_batch", NowAndThen(first_one_twice), "no image twice in a batch': False"),
    ("02.slant", torch.full((3, 3), torch.inf), "Some of its nine numbers are infinite"),
    ("02.slant", torch.ones(5, 5), "this one has (5, 5)"),
    ("02.slant", "steep", "A tensor of 3 x 3 numbers is asked for, and this is a string."),
    ("03.small_net", 3, "should return a network, an nn.Module, and not an int"),
    ("03.small_net", Skips(), "sees 5 of 28 pixels"),
    ("03.small_net", Windowed(), "is 7 wide"),
    ("03.small_net", averages(), "Where does it forget where the ink was?"),
    ("03.small_net", alone(), "One digit gets through, and four at once don't"),
    ("03.small_net", Around(after=lambda y: y.mean(0, keepdim=True)), "come out as (1, 10)"),
    ("03.small_net", Around(after=torch.detach), "No gradient reaches layer 'net.0'"),
    ("04.channel_gain", lambda channels: Refuses(), "raised NotImplementedError (later)"),
    ("04.channel_gain", lambda channels: nn.Linear(99, 1), "cannot be multiplied (1x2 and 99x1))"),
    ("04.channel_gain", lambda channels: Twofold(), "shape (1, 1, 1, 2)': 'a tuple'"),
    ("04.mended_net", network.Digits("still_scores"), "from -3 to 1.5, in a batch of three"),
    (
        "04.mended_net",
        network.Digits("still_scores"),
        "0.05 0.08 0.14 0.22 0.37 0.61 1.00 1.65 2.72",
    ),
    ("04.mended_net", nn.Flatten(), "no linear layer with ten outputs"),
    ("04.mended_net", Mended(lambda x: x[:, :, 2:]), "Three digits don't get through"),
    ("04.mended_net", Mended(after=lambda y: y[:, :5]), "come out as the shape (3, 10)"),
    ("04.mended_net", Mended(after=torch.detach), "there's no gradient in"),
    ("04.mended_net", Mended(lambda x: 0 * x + 1), "Does the image still reach the end?"),
    ("04.mended_net", Mended(lambda x: x - x.mean(0)), "A digit that comes alone gets another"),
    ("08.train_in_parts", lambda *case: None, "'steps': 0"),
    ("08.train_in_parts", lambda *case: None, "'passes that wait for backward': 0"),
    ("10.mean_output", gives_up, "Your code raised RuntimeError (no idea)"),
    ("12.by_heart", lambda *case: [0.5], "'steps that your optimizer took': 1,"),
    ("12.first_bad", lambda model, x: "7", "writes nan"),
    ("12.first_bad", lambda model, x: "7", 'hooks taken away": 0'),
    ("12.first_bad", takes_all_hooks_away, 'hooks taken away": 4'),
    ("12.pins_accuracy", begins_with_nothing, "that a tester can't count (ZeroDivisionError)"),
    ("13.averaged", lambda *case: 3, "got an int"),
    ("13.supported", [None], "Give numbers from 1 to 5"),
    ("14.batches", last_one_odd, "this one is"),
    ("14.batches", images_and_labels_apart, "Each batch should be a pair (x, y); this one is"),
    ("14.batches", lambda *case: 3, "A list of (x, y) is asked for; this is 3."),
]


@pytest.mark.parametrize(
    ("id", "answer", "words"), WORDS, ids=[f"{id}-{words}" for id, _, words in WORDS]
)
def test_what_is_wrong_is_said(id, answer, words):
    result = check(id, answer, seed=1)
    assert result.status == "failed" and words in result.message, result


@pytest.mark.parametrize("id", ["01.mended_batch"])
def test_images_are_known_by_their_marks_in_the_largest_set_too(id):
    images, labels = data._marked(256, 2, 3)  # a mark is a byte
    said = COURSE[id].run(COURSE[id].solution, images, labels, 256)
    assert said["each image with its own label"] and said["no image twice in a batch"]


@pytest.mark.parametrize("id", ["01.mended_batch"])
def test_an_image_that_is_drawn_twice_has_not_met_another_one(id):
    images, labels = data._marked(3, 1, 3)
    said = COURSE[id].run(lambda *case: (images[[0, 0]].float(), labels[[0, 0]]), images, labels, 2)
    assert said["pairs of images that met"] == "0 of 3"


@pytest.mark.parametrize("id", ["04.forward"])
def test_every_step_of_a_network_shows_in_what_comes_out(id):
    "As PyTorch makes it, a fresh network says nearly the same of every digit."
    torch.manual_seed(0)
    for model in (network._Loud(), network._Loud()):
        assert COURSE[id].solution(model, torch.randn(8, 1, 28, 28)).std(dim=1).mean() > 0.5


@pytest.mark.parametrize("id", ["08.train_in_parts"])
def test_a_check_leaves_no_hook_in_a_network(id):
    model = nn.Sequential(nn.Linear(2, 3), nn.LogSoftmax(dim=1))
    batches = [(torch.ones(2, 2), torch.tensor([0, 1]))] * 3
    said = COURSE[id].run(
        COURSE[id].solution, model, training.ShortSGD(model.parameters()), batches, 2
    )
    assert said["steps"] == 2 and not model._forward_hooks


SICK = {
    "in the middle": "1",
    "nested": "1.1",
    "backwards": "b.1",
    "between layers": "1",  # a container divides by 0: the first LAYER comes after it
    "at once": "0",
    "at the end": "2",
    "unused": "1",  # a bias of nan that nobody uses
    "fine in eval mode": None,
    "nowhere": None,
}


@pytest.mark.parametrize("id", ["12.first_bad"])
@pytest.mark.parametrize("value", [torch.nan, -torch.inf])
def test_each_sick_network_is_sick_where_its_name_says(id, value):
    for kind, name in SICK.items():
        net = bug_museum._sick_net(kind, value).eval()
        assert COURSE[id].solution(net, torch.randn(2, 3)) == name, kind
    spoils = bug_museum.Spoils(value)
    assert spoils(torch.ones(2, 3)).isfinite().tolist() == [[False, True, True]] * 2
    assert torch.equal(bug_museum.Spoils(7.0)(torch.ones(1, 2)), torch.tensor([[7.0, 1.0]]))


@pytest.mark.parametrize("id", ["12.pins_accuracy"])
def test_right_testers_are_right_and_each_faulty_one_says_something_else(id):
    "Four of six digits and one of two: 5 of 8 in all."
    batches = bug_museum._batches_for_test((4, 6), (1, 2))
    said = {which: tester(batches) for which, tester in bug_museum._TESTERS.items()}
    right = {which for which, share in said.items() if abs(share - 5 / 8) < 1e-6}
    assert right == {which for which in said if which.startswith("a right one")} and len(right) == 3
    assert said["the mean of the batches' accuracies"] == pytest.approx((4 / 6 + 1 / 2) / 2)
    assert said["the share of WRONG digits"] == pytest.approx(3 / 8)
    assert said["the last batch only"] == 1 / 2 and said["the first batch only"] == pytest.approx(
        4 / 6
    )
    assert said["in percent"] == pytest.approx(62.5) and said["always 1"] == 1
    assert COURSE[id].run(COURSE[id].solution, "always 1") == "fails"


def spread(answer, p):
    return COURSE["13.drop"].run(answer, torch.rand(80, 80) + 1, p)


@pytest.mark.parametrize("id", ["13.drop"])
def test_what_is_said_of_a_draw(id):
    solution = COURSE[id].solution
    sound = {"the right share is 0", "each row has its own zeros", "each column has its own zeros"}
    sound |= {"drawn anew in each call", "x is as it was"}
    for p, factor in ((0.5, 2), (0.2, 1.25), (0.0, 1)):
        said = spread(solution, p)
        assert {name for name, value in said.items() if value is True} == sound
        factors = {value for name, value in said.items() if "survivor" in name}
        assert factors == {factor}
    said = spread(lambda x, p=0.5: x * 0, 0.5)
    assert said["factor of the smallest survivor"] == said["factor of the largest survivor"] == 0
    assert not said["the right share is 0"] and not said["drawn anew in each call"]
    said = spread(lambda x, p=0.5: x * torch.tensor([2.0, 0.5, 0, 0]).repeat(20), 0.5)
    assert said["factor of the smallest survivor"] == 0.5
    assert said["factor of the largest survivor"] == 2 and said["the right share is 0"]
    assert said["each row has its own zeros"] and not said["each column has its own zeros"]
    said = spread(lambda x, p=0.5: x.mul_(2), 0.5)
    assert not said["x is as it was"]


@pytest.mark.parametrize("id", ["14.fair_medians"])
def test_a_day_goes_as_its_numbers_say(id):
    "The first call of a job takes eight times as long, all get slower, and some are disturbed."
    day = faster.Day({"a": 2.0, "b": 1.0}, {2: 3.0}, 0.5)
    jobs = {name: day.job(name) for name in "ab"}
    taken = []
    for name in "aaaba":
        start = day.clock()
        jobs[name]()
        taken.append(day.clock() - start)
    assert taken == [2 + 14, 2 * 1.5, 2 * 2 * 3, 2.5 + 7, 2 * 3]
    assert day.log == list("aaaba")


# ---- and some that are right


def one_by_one(images, labels, size):
    for i in range(0, len(images), size):
        yield normalize(images[i : i + size]), labels[i : i + size]


def as_it_learns(model, optimizer, x, y, steps):
    for _ in range(steps):
        yield from COURSE["12.by_heart"].solution(model, optimizer, x, y, 1)


@pytest.mark.parametrize("id", ["03.small_net"])
def test_two_ways_may_join_of_which_one_sees_much_more(id):
    "What joins them is no window, however much further the one sees."
    assert check(id, Bridged(), seed=1)


@pytest.mark.parametrize(
    ("id", "answer"), [("14.batches", one_by_one), ("12.by_heart", as_it_learns)]
)
def test_a_generator_may_stand_for_a_list(id, answer):
    assert check(id, answer, seed=1)
