"""The convolution stepper: what Python and JavaScript compute against torch, and the widget in a real browser."""

import base64
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import traitlets
from matplotlib import colormaps

from mnist_course.convolution import KERNELS
from mnist_course.data import STD, normalize
from mnist_course.model import load_pretrained
from mnist_course.widgets.bundle import bundle
from mnist_course.widgets.stepper import (
    LARGE,
    ConvolutionStepper,
    _kernel_list,
    step,
    write_stepper_page,
)


@pytest.fixture(scope="module")
def site(tmp_path_factory, serve):
    "The page, on a server of its own: its address."
    folder = tmp_path_factory.mktemp("stepper")
    assert all(path.is_file() for path in write_stepper_page(folder))
    return serve(folder)


def value(page, name: str):
    "A value of the widget on the page."
    return page.evaluate("async (name) => window.model.get(name)", name)


def put(page, **values) -> None:
    "Set values as Python would."
    page.evaluate(
        "async (values) => { const model = window.model; for (const name in values) model.set(name, values[name]) }",
        values,
    )


def said(page) -> str:
    return page.locator(".mc-live").inner_text()


def numbers(page, name: str) -> list[float]:
    "The cells of a table, row by row."
    return [
        float(text)
        for text in page.locator(f"table:has(caption:text-is('{name}')) td").all_inner_texts()
    ]


# ---- the arithmetic


def random_cases(count: int) -> list[dict]:
    "Images, kernels and settings; each case says what torch makes of it, in double precision."
    rng, cases = np.random.default_rng(0), []
    for _ in range(count):
        size, k = (
            (28, 28) if rng.random() < 0.3 else tuple(rng.integers(5, 12, 2).tolist()),
            int(rng.choice([3, 5])),
        )
        image = rng.integers(0, 256, size, dtype=np.uint8)
        kernel = np.round(rng.normal(0, 1, (k, k)), 4)
        options = {
            "stride": int(rng.integers(1, 3)),
            "padding": int(rng.integers(0, 2)),
            "bias": round(float(rng.normal()), 4),
        }
        x, weight = torch.tensor(image / 255), torch.tensor(kernel)
        whole = F.conv2d(
            x[None, None],
            weight[None, None],
            torch.tensor([options["bias"]]).double(),
            options["stride"],
            options["padding"],
        )
        case = {
            "image": image.tolist(),
            "kernel": kernel.tolist(),
            "relu": bool(rng.integers(2)),
            **options,
        }
        case["map"] = whole[0, 0].tolist()
        case["place"] = [int(rng.integers(n)) for n in whole.shape[2:]]
        cases.append(case)
    return cases


OPTIONS = ("stride", "padding", "bias")


def test_javascript_slides_as_torch_does(open_page):
    cases = random_cases(300)
    theirs = open_page().evaluate(
        """async (cases) => {
            const {mapSize, slide, step} = await import("./slide.js")
            return cases.map((one) => {
                const image = {pixels: one.image.flat().map((byte) => byte / 255), height: one.image.length, width: one.image[0].length}
                const {rows, columns, values} = slide(image, one.kernel, one)
                return {size: mapSize(image, one.kernel, one), shape: [rows, columns], map: [...values], ...step(image, one.kernel, one.place, one)}
            })
        }""",
        cases,
    )
    for case, got in zip(cases, theirs, strict=True):
        expected, (row, column) = torch.tensor(case["map"]), case["place"]
        expected = expected.relu() if case["relu"] else expected
        assert got["size"] == got["shape"] == list(expected.shape)
        assert (torch.tensor(got["map"]).reshape(expected.shape) - expected).abs().max() < 1e-5
        assert abs(got["output"] - expected[row, column]) < 1e-5
        ours = step(
            np.array(case["image"], np.uint8),
            case["kernel"],
            (row, column),
            **{name: case[name] for name in OPTIONS},
        )
        assert abs(got["sum"] - ours.sum) < 1e-5
        for name in ("patch", "products"):
            assert (torch.tensor(got[name]) - getattr(ours, name)).abs().max() < 1e-5


def test_python_steps_as_torch_does():
    for case in random_cases(300):
        expected, place = torch.tensor(case["map"]), tuple(case["place"])
        here = step(
            np.array(case["image"], np.uint8),
            case["kernel"],
            place,
            **{name: case[name] for name in OPTIONS},
        )
        assert here.map.shape == expected.shape and (here.map - expected).abs().max() < 1e-5
        assert (
            abs(here.output - expected[place]) < 1e-5
            and abs(here.sum + case["bias"] - here.output) < 1e-6
        )
        assert torch.equal(here.products, here.patch * here.kernel)


def test_both_sides_use_the_same_colors(open_page):
    shares = np.linspace(-1, 1, 201)
    theirs = open_page().evaluate(
        "async (shares) => { const {diverging} = await import('./slide.js'); return shares.map(diverging) }",
        shares.tolist(),
    )
    assert (
        np.abs(np.array(theirs) - 255 * colormaps["PuOr"]((shares + 1) / 2)[:, :3]).max() < 5
    )  # matplotlib has 256 steps


def test_a_step_prints_itself():
    image = torch.tensor([[0.0, 0.5, 1.0]] * 3)
    told = repr(step(image, KERNELS["vertical edge"], (0, 0), padding=1, bias=-1))
    assert told.splitlines() == [
        "  0.00   0.00   0.00    -1.00   0.00   1.00      0.00   0.00   0.00",
        "  0.00   0.00   0.50  x -2.00   0.00   2.00   =  0.00   0.00   1.00",
        "  0.00   0.00   0.50    -1.00   0.00   1.00      0.00   0.00   0.50",
        "the 9 products add up to 1.50; with the bias of -1.00: 0.50",
    ]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (
            (torch.zeros(1, 9, 9), torch.ones(3, 3), (0, 0)),
            {},
            r"\(H, W\) is expected, got \(1, 9, 9\)",
        ),
        ((torch.zeros(9, 9, dtype=torch.int64), torch.ones(3, 3), (0, 0)), {}, "uint8 or floats"),
        ((torch.zeros(9, 9), torch.ones(9), (0, 0)), {}, r"\(kh, kw\); got shape \(9,\)"),
        ((torch.zeros(4, 4), torch.ones(5, 5), (0, 0)), {}, "fits nowhere"),
        ((torch.zeros(9, 9), torch.ones(3, 3), (0, 0)), {"stride": 0}, "stride must be"),
        ((torch.zeros(9, 9), torch.ones(3, 3), (7, 0)), {}, "rows 0 to 6 and columns 0 to 6"),
        ((torch.zeros(9, 9), torch.ones(3, 3), (0, -1)), {}, "there is no place"),
    ],
)
def test_a_step_that_is_impossible(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        step(*arguments, **options)


def test_the_listed_kernels_of_the_network_make_its_maps(sample):
    listed = _kernel_list()
    assert len(listed) == len(KERNELS) + len(LARGE) + 32 and len(
        {(one["group"], one["name"]) for one in listed}
    ) == len(listed)
    net, images = load_pretrained(), sample[1].images[:3]
    theirs = net.conv1(normalize(images)).relu().detach()  # (3, 32, 26, 26)
    for one, expected in zip(listed[-32:], theirs.transpose(0, 1), strict=True):
        for image, map_ in zip(images, expected, strict=True):
            ours = step(image, one["kernel"], (0, 0), bias=one["bias"]).map.relu() / STD
            assert (ours - map_).abs().max() < 1e-5
    with pytest.raises(ValueError, match="no layer conv1"):
        _kernel_list(torch.nn.Linear(2, 2))


# ---- the Python side alone


def test_a_stepper_takes_what_fits(sample):
    image = sample[1].images[5]
    stepper = ConvolutionStepper(image=image, kernel=KERNELS["blur"], place=(3, 4), padding=1)
    assert (
        torch.equal(stepper.pixels, image)
        and stepper.map.shape == (28, 28)
        and stepper.place == (3, 4)
    )
    assert stepper.step.output == pytest.approx(stepper.map[3, 4].item())
    stepper.image = image.flip(0) / 255
    assert torch.equal(stepper.pixels, image.flip(0))
    stepper.image = image.numpy().tobytes()
    stepper.kernel = np.eye(3)
    assert stepper.kernel == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    stepper.bias, stepper.relu = -2, True
    assert torch.equal(stepper.map, step(image, np.eye(3), (0, 0), padding=1, bias=-2).map.relu())
    stepper.place = (27, 27)
    stepper.stride = 2
    assert stepper.place == (13, 13)
    stepper.kernel = LARGE["blur"]
    assert stepper.place == (12, 12) and stepper.map.shape == (13, 13)


@pytest.mark.parametrize(
    ("name", "bad", "message"),
    [
        ("image", b"short", "28 x 28 = 784 bytes, got 5"),
        ("image", torch.zeros(27, 28), r"got \(27, 28\)"),
        ("image", torch.full((28, 28), -0.42), "normalized"),
        ("image", torch.full((28, 28), float("nan")), "between 0 and 1"),
        ("image", torch.zeros(1, 28, 28), "one picture"),
        ("kernel", [[1, 2], [3, 4]], r"got shape \(2, 2\)"),
        ("kernel", [[1, 2, 3], [4, 5], [6, 7, 8]], "rows of numbers"),
        ("kernel", "sharpen", "rows of numbers"),
        ("kernel", [[float("nan")] * 3] * 3, "lies between"),
        ("kernel", [[1e6] * 3] * 3, "lies between -1000 and 1000"),
        ("bias", float("inf"), "lies between"),
        ("stride", 3, "stride is 1 or 2, got 3"),
        ("padding", 2, "padding is 0 or 1, got 2"),
        ("place", (26, 0), "rows 0 to 25 and columns 0 to 25"),
        ("place", (0, -1), "there is no place"),
        ("relu", "yes", "relu"),
    ],
)
def test_a_stepper_says_what_does_not_fit(name, bad, message):
    stepper = ConvolutionStepper()
    before = getattr(stepper, name)
    with pytest.raises(traitlets.TraitError, match=message):
        setattr(stepper, name, bad)
    assert getattr(stepper, name) == before
    with pytest.raises(traitlets.TraitError, match=message):
        ConvolutionStepper(**{name: bad})


def test_the_large_kernels_weigh_what_their_names_say():
    flat, steep = torch.ones(5, 5), torch.arange(5.0).repeat(5, 1)
    weights = {name: (kernel * flat).sum().item() for name, kernel in LARGE.items()}
    assert weights == pytest.approx({"blur": 1, "vertical edge": 0, "horizontal edge": 0}, abs=1e-6)
    assert (LARGE["blur"] == LARGE["blur"][0, 0]).all()
    across, down = LARGE["vertical edge"], LARGE["horizontal edge"]
    assert (across * steep).sum().item() == pytest.approx(6)  # brighter to the right
    assert torch.equal(across.T, down) and across.abs().max() == pytest.approx(0.2)
    assert torch.equal(across, -across.flip(1)) and (across[:, 2] == 0).all()


@pytest.mark.parametrize("size", [3, 5])
def test_kernels_of_a_network_are_offered_in_both_sizes(size):
    layer = torch.nn.Conv2d(1, 2, size, bias=False)
    model = torch.nn.Sequential()
    model.conv1 = layer
    listed = _kernel_list(model)
    assert [one["bias"] for one in listed[:-2]] == [0.0] * (len(KERNELS) + len(LARGE))
    assert [one["name"] for one in listed[-2:]] == ["conv1, kernel 0", "conv1, kernel 1"]
    image = torch.randint(0, 256, (28, 28), dtype=torch.uint8)
    wanted = layer(normalize(image[None]))[0, 0].detach()
    found = step(image, listed[-2]["kernel"], (0, 0), bias=listed[-2]["bias"]).map / STD
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("shape", [(1, 4, 4), (1, 7, 7), (3, 3, 3), (1, 3, 5)])
def test_kernels_of_another_size_are_not_offered(shape):
    model = torch.nn.Sequential()
    model.conv1 = torch.nn.Conv2d(shape[0], 2, shape[1:])
    with pytest.raises(ValueError, match="no layer conv1 with kernels of 3 x 3 or 5 x 5"):
        _kernel_list(model)


def test_one_pixel_that_is_too_bright_is_enough_to_ask():
    picture = torch.zeros(28, 28)
    for value in (-0.01, 1.01):
        picture[3, 4] = value
        with pytest.raises(traitlets.TraitError, match="is this a normalized digit"):
            ConvolutionStepper(image=picture)


@pytest.mark.parametrize("bias", [1000.0, -1000.0, 0.0])
def test_the_bias_may_go_as_far_as_it_says(bias):
    assert ConvolutionStepper(bias=bias).bias == bias
    with pytest.raises(traitlets.TraitError, match="between -1000 and 1000"):
        ConvolutionStepper(bias=-1000.5)


def test_it_starts_without_relu_and_takes_no_picture_for_an_error():
    stepper = ConvolutionStepper()
    assert (stepper.relu, stepper.bias, stepper.place) == (False, 0.0, (19, 12))
    assert not torch.equal(stepper.map, stepper.map.relu())
    with pytest.raises(traitlets.TraitError, match="got 0"):
        stepper.set_state({"image": None})


def test_the_page_has_the_values_of_the_model(tmp_path):
    model = torch.nn.Sequential()
    model.conv1 = torch.nn.Conv2d(1, 2, 3)
    written = write_stepper_page(tmp_path, model)
    state = json.loads((tmp_path / "stepper.json").read_text("utf-8"))
    assert tmp_path / "stepper.json" in written
    assert state["kernels"] == _kernel_list(model) and len(state["kernels"]) != 32
    assert base64.b64decode(state["image"]) == ConvolutionStepper().image


def test_several_values_that_arrive_together_are_checked_together():
    stepper = ConvolutionStepper(stride=2, place=(12, 12))
    stepper.set_state({"place": [27, 27], "padding": 1, "stride": 1})  # as the browser sends them
    assert (stepper.place, stepper.padding, stepper.stride) == ((27, 27), 1, 1)


def test_what_the_browser_sends_is_not_sent_back():
    "An echo that arrives late would set the kernel back to where it was a moment ago."
    stepper, sent = ConvolutionStepper(), []
    stepper._send = lambda message, buffers=None: sent.append(message)
    stepper.set_state(
        {
            "place": [3, 4],
            "kernel": [[1, 2, 3]] * 3,
            "bias": 1,
            "image": memoryview(bytes(784)),
            "relu": True,
        }
    )
    assert stepper.place == (3, 4) and stepper.relu and not any(stepper.image) and sent == []
    stepper.place = (5, 6)
    assert [message["state"] for message in sent] == [{"place": (5, 6)}]


def test_the_bundle_has_no_imports_left():
    text = bundle("stepper")
    assert "import {" not in text and text.count("export ") == 1


# ---- the widget on a page without a kernel


def test_all_numbers_of_a_place_are_shown(open_page):
    page = open_page()
    image = torch.tensor(
        list(
            base64.b64decode(
                json.loads(page.request.get(f"{page.url}stepper.json").text())["image"]
            )
        )
    )
    here = step(image.reshape(28, 28).to(torch.uint8), KERNELS["vertical edge"], (19, 12))
    assert said(page) == f"Row 19, column 12: the 9 products add up to {here.sum:.2f}."
    for name in ("patch", "products"):
        assert numbers(page, name) == pytest.approx(
            getattr(here, name).flatten().tolist(), abs=0.00501
        )
    assert [
        float(field.input_value()) for field in page.locator(".mc-numbers input").all()
    ] == KERNELS["vertical edge"].flatten().tolist()
    assert page.locator(".mc-border").is_hidden()
    page.get_by_label("Bias").fill("-5")
    assert said(page).endswith(f"With the bias of -5.00: {here.sum - 5:.2f}.")
    page.get_by_label("ReLU").check()
    assert said(page).endswith("ReLU makes that 0.")
    page.get_by_label("Padding").select_option("1")
    assert page.locator(".mc-border").is_visible() and value(page, "place") == [
        20,
        13,
    ]  # the same pixels as before
    assert "Map, 28 x 28" in page.locator("figcaption").all_inner_texts()
    page.get_by_label("Stride").select_option("2")
    assert (
        value(page, "place") == [10, 7]
        and "Map, 14 x 14" in page.locator("figcaption").all_inner_texts()
    )


def test_the_keyboard_alone_is_enough(open_page):
    page = open_page()
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('mc-drag')"):
            break
    for key, place in {
        "ArrowRight": [19, 13],
        "ArrowUp": [18, 13],
        "Shift+ArrowLeft": [18, 8],
        "ArrowDown": [19, 8],
        "Home": [19, 0],
        "ArrowLeft": [19, 0],
        "End": [19, 25],
        "PageUp": [0, 25],
        "PageDown": [25, 25],
        "Shift+ArrowDown": [25, 25],
    }.items():
        page.keyboard.press(key)
        assert value(page, "place") == place and said(page).startswith(
            f"Row {place[0]}, column {place[1]}:"
        ), key
    page.get_by_role("button", name="Next digit").press("Enter")
    assert (
        len(
            set(
                page.evaluate(
                    "async () => { const v = window.model.get('image'); return [...new Uint8Array(v.buffer)] }"
                )
            )
        )
        > 10
    )
    field = page.get_by_label("Kernel, row 0, column 2")
    field.press("Control+a")
    field.press_sequentially("-2.5")
    assert value(page, "kernel")[0] == [-1, 0, -2.5] and field.input_value() == "-2.5"
    assert page.get_by_label("Kernel from the list").input_value() == ""
    page.get_by_label("ReLU").press("Space")
    assert value(page, "relu") is True
    page.get_by_label("Kernel from the list").press("b")  # blur
    assert value(page, "kernel") == KERNELS["blur"].tolist()
    assert (
        page.evaluate(
            "[...document.querySelectorAll('.mc-numbers input')].map((field) => field.value)"
        )
        == ["0.1111"] * 9
    )


def test_every_kernel_of_the_list_can_be_chosen_and_resized(open_page):
    page, listed = open_page(), _kernel_list()
    choice = page.get_by_label("Kernel from the list")
    for i, one in enumerate(listed):
        choice.select_option(str(i))
        assert value(page, "kernel") == one["kernel"] and value(page, "bias") == one["bias"]
        assert choice.locator("option:checked").inner_text() == one["name"]
    groups = page.evaluate(
        "[...document.querySelectorAll('optgroup')].map((group) => [group.label, group.children.length])"
    )
    assert groups == [["3 x 3", 6], ["5 x 5", 3], ["first layer of the network", 32]]
    names = choice.locator("option").all_inner_texts()
    assert len(set(names)) == len(names), "each can be told from the others by its name"
    choice.select_option("3")
    page.get_by_label("Size").select_option("5")
    assert (
        value(page, "kernel") == F.pad(KERNELS["vertical edge"], [1] * 4).tolist()
        and page.locator(".mc-numbers input").count() == 25
    )
    assert choice.input_value() == ""
    page.get_by_label("Size").select_option("3")
    assert (
        value(page, "kernel") == KERNELS["vertical edge"].tolist() and choice.input_value() == "3"
    )


def test_what_is_no_number_changes_nothing(open_page):
    page = open_page()
    before = value(page, "kernel")
    field = page.get_by_label("Kernel, row 1, column 1")
    for text in ("", "5000"):
        field.fill(text)
        assert field.get_attribute("aria-invalid") == "true" and value(page, "kernel") == before
        field.press("Tab")
        assert field.input_value() == "0" and field.get_attribute("aria-invalid") is None


def drag(page, press, move, release, start=(19, 12), end=(5, 20), stride=1, padding=0) -> None:
    "Take hold of the kernel in its middle, with the given actions, and carry it from one place to another."
    box = page.locator(".mc-drag").bounding_box()

    def point(place):
        return [
            box[edge] + (index * stride + 1.5) * box[length] / (28 + 2 * padding)
            for edge, length, index in (("x", "width", place[1]), ("y", "height", place[0]))
        ]

    press(*point(start))
    for part in np.linspace(0, 1, 9)[1:]:
        move(*point([a + part * (b - a) for a, b in zip(start, end, strict=True)]))
    release()


def test_the_kernel_is_dragged_by_the_mouse(open_page):
    page = open_page()
    mouse = page.mouse

    def press(x, y):
        mouse.move(x, y)
        mouse.down()

    drag(page, press, mouse.move, mouse.up)
    assert value(page, "place") == [5, 20]
    drag(page, press, mouse.move, mouse.up, (5, 20), (40, 40))
    assert value(page, "place") == [25, 25]
    page.mouse.move(0, 0)
    assert value(page, "place") == [25, 25]  # it was let go
    drag(page, press, mouse.move, mouse.up, (3, 4), (3, 5))  # beside the kernel: it jumps there
    assert value(page, "place") == [3, 5]
    put(page, padding=1, stride=2, place=[0, 0])
    drag(page, press, mouse.move, mouse.up, (0, 0), (6, 7), stride=2, padding=1)
    assert value(page, "place") == [6, 7]
    put(page, padding=0, stride=1)
    box = page.locator("canvas[role=img]").bounding_box()
    page.mouse.click(box["x"] + 10.5 * box["width"] / 26, box["y"] + 2.5 * box["height"] / 26)
    assert value(page, "place") == [2, 10]


def test_the_kernel_is_dragged_by_touch(open_page, finger):
    page = open_page(has_touch=True, viewport={"width": 390, "height": 800}, is_mobile=True)
    before = page.evaluate("scrollY")
    drag(page, *finger(page))
    assert value(page, "place") == [5, 20] and page.evaluate("scrollY") == before
    for size in ("5", "3"):
        page.get_by_label("Size").select_option(size)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_map_fills_in_and_the_kernel_slides_by_itself(open_page):
    page = open_page()
    page.clock.install(time=0)
    page.clock.pause_at(1000)
    full = """() => {
        const map = document.querySelector("canvas[role=img]")
        const copy = new OffscreenCanvas(map.width, map.height).getContext("2d", {willReadFrequently: true})
        copy.drawImage(map, 0, 0)
        return copy.getImageData(0, 0, map.width, map.height).data.filter((part, i) => i % 4 === 0 && part === 247).length
    }"""
    put(
        page, kernel=[[0] * 3] * 3, place=[0, 0]
    )  # everything is 0, and white where the kernel has been
    assert page.evaluate(full) == 2  # (19, 12) and (0, 0)
    page.get_by_role("button", name="Slide").click()
    page.clock.run_for(30 * 30)
    assert value(page, "place") == [1, 4] and page.evaluate(full) == 32
    assert page.locator(".mc-live").get_attribute("aria-live") == "off"
    page.get_by_role("button", name="Stop").click()
    page.clock.run_for(300)
    assert (
        value(page, "place") == [1, 4]
        and page.locator(".mc-live").get_attribute("aria-live") == "polite"
    )
    whole = page.get_by_label("Fill in the whole map")
    whole.check()
    assert page.evaluate(full) == 676
    whole.uncheck()
    assert page.evaluate(full) == 1
    put(page, place=[25, 20])
    page.get_by_role("button", name="Slide").click()
    page.clock.run_for(1000)
    assert (
        value(page, "place") == [25, 25] and page.get_by_role("button", name="Slide").is_visible()
    )  # it stops at the end


def test_the_widget_follows_its_model_and_lets_go_of_it(open_page):
    page = open_page()
    put(
        page,
        kernel=LARGE["blur"].tolist(),
        stride=2,
        padding=1,
        bias=0.25,
        relu=True,
        place=[12, 3],
    )
    assert (
        said(page).startswith("Row 12, column 3: the 25 products")
        and page.get_by_label("Bias").input_value() == "0.25"
    )
    assert [page.get_by_label(name).input_value() for name in ("Size", "Stride", "Padding")] == [
        "5",
        "2",
        "1",
    ]
    assert page.get_by_label("ReLU").is_checked()
    assert (
        page.get_by_label("Kernel from the list").locator("option:checked").inner_text()
        == "blur, 5 x 5"
    )
    left = page.evaluate(
        """async () => {
            const {render} = await import("./stepper.js")
            const model = window.model
            const count = () => [...model.listeners.values()].reduce((sum, all) => sum + all.length, 0)
            const [before, el] = [count(), document.createElement("div")]
            document.body.append(el)
            const close = render({model, el})
            const ids = [...document.querySelectorAll("[id]")].map((one) => one.id)
            const during = count()
            close()
            return [during - before, count() - before, ids.length - new Set(ids).size]
        }"""
    )
    assert left == [7, 0, 0]


@pytest.mark.drawn(2)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing(open_page, violations, scheme, width):
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    for kernel, place in ((KERNELS["vertical edge"], [15, 14]), (LARGE["horizontal edge"], [0, 0])):
        put(page, kernel=kernel.tolist(), place=place, padding=1, bias=0.5, relu=True)
        assert violations(page) == []


def test_without_its_values_the_page_says_so(chromium, tmp_path):
    write_stepper_page(tmp_path)
    page = chromium.new_page()

    def answer(route):
        name = route.request.url.rsplit("/", 1)[1] or "index.html"
        route.fulfill(status=404) if name == "stepper.json" else route.fulfill(path=tmp_path / name)

    page.route("http://broken.test/**", answer)
    page.goto("http://broken.test/")
    page.wait_for_function(
        "() => document.getElementById('stepper').textContent.includes('stepper.json: 404')"
    )
    page.close()


# ---- the widget in JupyterLab


@pytest.mark.drawn(4, of="JupyterLab")
def test_python_and_the_widget_tell_each_other(lab):
    lab.open("02_convolution.ipynb")
    cell = lab.find("= ConvolutionStepper()")
    second = lab.find("torch.equal(slide(moved")
    lab.run(cell)
    lab.output(cell)
    page = lab.page

    def says(code: str, wanted: str) -> None:
        "What Python says, as soon as it has heard from the widget."
        for _ in range(500):
            if (told := lab.run(second, code)) == wanted:
                return
        raise AssertionError(f"{told!r} instead of {wanted!r}")

    digit = page.locator(".mc-drag")
    digit.wait_for()
    digit.scroll_into_view_if_needed()
    digit.focus()
    cells = page.evaluate("jupyterapp.shell.currentWidget.content.widgets.length")
    for key in ("ArrowRight", "ArrowRight", "ArrowUp"):
        page.keyboard.press(key)
    says("print(stepper.place)", "(18, 14)")
    lab.output(cell)
    drag(
        page,
        lambda x, y: (page.mouse.move(x, y), page.mouse.down()),
        page.mouse.move,
        page.mouse.up,
        (18, 14),
        (6, 9),
    )
    page.get_by_label("Kernel, row 1, column 1").fill("3")
    page.get_by_role("button", name="Next digit").click()
    code = "print(stepper.place, stepper.kernel[1], tuple(stepper.pixels.shape), bytes(stepper.image) == stepper.samples[6272:7056])"
    says(code, "(6, 9) [-2.0, 3.0, 2.0] (28, 28) True")
    lab.run(
        second,
        "stepper.kernel = [[0, 0, 0], [0, 2, 0], [0, 0, 0]]\nstepper.place = (25, 0)\nstepper.stride = 2",
    )
    lab.output(cell)
    page.wait_for_function(
        "() => document.querySelector('.mc-live').textContent.startsWith('Row 12, column 0:')"
    )
    assert (
        page.get_by_label("Kernel, row 1, column 1").input_value() == "2"
        and page.get_by_label("Stride").input_value() == "2"
    )
    assert "no place (13, 0)" in lab.run(
        second, "try:\n    stepper.place = (13, 0)\nexcept Exception as error:\n    print(error)"
    )
    page.get_by_label("Kernel from the list").focus()
    page.keyboard.press("b")  # a letter with a meaning of its own in a notebook: a new cell
    page.get_by_label("Size").select_option("5")
    says("print(len(stepper.kernel), round(stepper.kernel[2][2], 2))", "5 0.11")
    assert page.evaluate("jupyterapp.shell.currentWidget.content.widgets.length") == cells
