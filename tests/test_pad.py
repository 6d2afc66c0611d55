"""The widgets in a real browser: on a page without a kernel, and the numbers that Python and JavaScript must share."""

import base64
import itertools
import re

import numpy as np
import pytest
import torch

from mnist_course.data import normalize
from mnist_course.engine.foreign import foreign_digits, non_digits
from mnist_course.engine.predict import FINE, halves_of, layout_of, load_reference, look
from mnist_course.model import Net, load_pretrained
from mnist_course.plotting import predictions, worst_mistakes
from mnist_course.predict import predict, resize, steps, to_ink
from mnist_course.widgets.bundle import bundle
from mnist_course.widgets.explorer import _reference_bytes, half_weights, write_drawing_page
from mnist_course.widgets.pad import _SIDE, DrawingPad, Drawings


@pytest.fixture(scope="module")
def site(tmp_path_factory, serve):
    "The page, on a server of its own: its address."
    folder = tmp_path_factory.mktemp("site")
    write_drawing_page(folder)
    return serve(folder)


def strokes(rng: np.random.Generator, side: int = _SIDE) -> np.ndarray:
    "A drawing: a few thick lines with soft edges. uint8 (side, side)."
    ys, xs = np.mgrid[:side, :side]
    ink = np.zeros((side, side))
    for _ in range(rng.integers(1, 4)):
        points = rng.uniform(0.05 * side, 0.95 * side, (rng.integers(2, 4), 2))
        width = rng.uniform(3, 20)
        for (y0, x0), (y1, x1) in itertools.pairwise(points):
            along = np.clip(
                ((ys - y0) * (y1 - y0) + (xs - x0) * (x1 - x0))
                / ((y1 - y0) ** 2 + (x1 - x0) ** 2 + 1e-9),
                0,
                1,
            )
            away = np.hypot(ys - y0 - along * (y1 - y0), xs - x0 - along * (x1 - x0))
            ink = np.maximum(ink, np.clip(width / 2 - away + 0.5, 0, 1))
    return (255 * ink).round().astype(np.uint8)


def as_text(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


DECODE = "const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));"


def test_both_sides_prepare_a_drawing_in_the_same_way(open_page):
    rng = np.random.default_rng(0)
    drawings = [strokes(rng) for _ in range(60)]
    drawings += [
        np.zeros((_SIDE, _SIDE), np.uint8),
        np.full((_SIDE, _SIDE), 255, np.uint8),
        255 - drawings[0],
    ]
    lone = np.zeros((_SIDE, _SIDE), np.uint8)
    lone[0, 279] = 255
    drawings += [lone, (drawings[1] // 8).astype(np.uint8)]
    theirs = open_page().evaluate(
        f"async (texts) => {{ {DECODE} const {{prepare}} = await import('./prepare.js');"
        f" return texts.map((text) => Array.from(prepare(bytes(text), {_SIDE}, {_SIDE}))) }}",
        [as_text(drawing) for drawing in drawings],
    )
    ours = [steps(drawing)["centered"].astype(int) for drawing in drawings]
    off = [
        int(np.abs(np.array(a).reshape(28, 28) - b).max())
        for a, b in zip(theirs, ours, strict=True)
    ]
    # Pillow resizes some tall pictures rows first, and rounds in between: a grey value or two
    assert max(off) <= 2 and off.count(0) >= 0.8 * len(off), off


def test_both_sides_prepare_photographs_and_squared_paper_in_the_same_way(open_page):
    pictures = [
        p.image
        for p in foreign_digits(
            60, kinds=["photograph", "squared paper", "printed", "low resolution"]
        )
    ]
    pictures += [p.image for p in non_digits(40) if p.image.shape == (_SIDE, _SIDE)]
    pictures += [
        255 - p.image for p in foreign_digits(10, kinds=["photograph"])
    ]  # uneven light on dark paper
    cut = [
        p.image[60:221, 70:200] for p in foreign_digits(10, kinds=["photograph", "pen"])
    ]  # other shapes, odd ones
    page = open_page()
    off = []
    for some in (pictures, cut):
        theirs = page.evaluate(
            f"async ([texts, height, width]) => {{ {DECODE} const {{prepare}} = await import('./prepare.js');"
            " return texts.map((text) => Array.from(prepare(bytes(text), height, width))) }",
            [[as_text(picture) for picture in some], *some[0].shape],
        )
        ours = [steps(picture)["centered"].astype(int) for picture in some]
        off += [
            int(np.abs(np.array(a).reshape(28, 28) - b).max())
            for a, b in zip(theirs, ours, strict=True)
        ]
    assert max(off) <= 2 and off.count(0) >= 0.5 * len(off), off


def test_both_sides_find_the_same_things_out_of_distribution(open_page):
    pictures = [steps(p.image)["centered"] for p in foreign_digits(50) + non_digits(50)]
    answers = open_page().evaluate(
        f"async (texts) => {{ {DECODE} const {{Network, readReference, oodScoreOf}} = await import('./cnn.js');"
        " const {judge} = await import('./prepare.js'); const get = async (name) => (await fetch(name)).arrayBuffer();"
        " const network = new Network(await get('./net.f16')); const reference = readReference(await get('./reference.f32'));"
        " return texts.map((text) => { const page = bytes(text); const seen = network.look(page);"
        " const answer = judge(seen.probabilities, page, oodScoreOf(seen, reference)); return [answer.ood_score, answer.message] }) }",
        [as_text(picture) for picture in pictures],
    )
    net = load_pretrained()
    ours = load_reference().ood_score(look(net, normalize(torch.tensor(np.stack(pictures)))))
    theirs = torch.tensor([score for score, _ in answers])
    assert (ours - theirs).abs().max() < 0.02  # the weights travelled in half precision
    assert {bool(score > 1) for score in ours} == {True, False}
    kinds = [
        message.split()[0] for _, message in answers if message.split()[0] in ("blank:", "unlike")
    ]
    assert set(kinds) == {"blank:", "unlike"}
    said = {
        message.split(";")[0]
        for (_, message), score in zip(answers, ours, strict=True)
        if score > 1.05 and "blank" not in message
    }
    assert said == {"unlike the digits it learned from"}


def test_both_sides_see_the_same_digit(open_page, sample):
    images = sample[1].images[:1000]
    answers = open_page().evaluate(
        f"async ([text, count]) => {{ {DECODE} const {{Network}} = await import('./cnn.js');"
        " const network = new Network(await (await fetch('./net.f16')).arrayBuffer()); const all = bytes(text); const found = [];"
        " for (let i = 0; i < count; i++) { const seen = network.look(all.subarray(784 * i, 784 * (i + 1)));"
        " found.push([seen.logits, seen.probabilities]) } return found }",
        [as_text(images.numpy()), len(images)],
    )
    model = load_pretrained()
    model.load_state_dict(
        {name: value.half().float() for name, value in model.state_dict().items()}
    )  # the weights that travelled
    with torch.inference_mode():
        log_probabilities = model(normalize(images))
        full = load_pretrained()(normalize(images))
    logits = torch.tensor([answer[0] for answer in answers])
    assert (logits.log_softmax(1) - log_probabilities).abs().max() < 1e-3
    assert (
        torch.tensor([answer[1] for answer in answers]) - log_probabilities.exp()
    ).abs().max() < 1e-4
    assert torch.equal(logits.argmax(1), full.argmax(1))


def test_both_sides_make_the_same_maps(open_page, sample):
    page = sample[1].images[3]
    seen = open_page().evaluate(
        f"async (text) => {{ {DECODE} const {{Network}} = await import('./cnn.js');"
        " const network = new Network(await (await fetch('./net.f16')).arrayBuffer());"
        " const {activations} = network.look(bytes(text));"
        " return Object.fromEntries(Object.entries(activations).map(([name, a]) => [name, [a.shape, Array.from(a.data)]])) }",
        as_text(page.numpy()),
    )
    model = load_pretrained()
    maps, names = (
        {},
        {
            "conv1": model.conv1,
            "conv2": model.conv2,
            "conv3": model.conv3,
            "conv4": model.conv4,
            "fc1": model.fc1,
        },
    )
    hooks = [
        layer.register_forward_hook(
            lambda module, args, out, name=name: maps.__setitem__(name, out[0].relu())
        )
        for name, layer in names.items()
    ]
    with torch.inference_mode():
        model(normalize(page[None]))
    for hook in hooks:
        hook.remove()
    maps["pool1"], maps["pool2"] = (
        torch.nn.functional.max_pool2d(maps[name][None], 2)[0] for name in ("conv2", "conv4")
    )
    assert seen.keys() == maps.keys() | {"input"}
    for name, expected in maps.items():
        shape, data = seen[name]
        assert tuple(shape) == tuple(expected.shape)
        assert (torch.tensor(data).reshape(shape) - expected).abs().max() < 0.02 * expected.max(), (
            name
        )


def draw_seven(page, press, move, release) -> None:
    "A 7 on the pad, with the given actions; points are shares of the pad."
    box = page.locator(".mc-canvas").bounding_box()
    points = [(0.3, 0.25), (0.5, 0.25), (0.7, 0.25), (0.6, 0.5), (0.5, 0.8)]
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    press(*places[0])
    for (x0, y0), (x1, y1) in itertools.pairwise(places):
        for part in np.linspace(0, 1, 6)[1:]:
            move(x0 + part * (x1 - x0), y0 + part * (y1 - y0))
    release()


def wait_for(page, digit: int) -> None:
    page.wait_for_function(
        f"() => document.querySelector('.mc-live').textContent.startsWith('{digit} (')"
    )


def test_a_digit_drawn_with_the_mouse_is_read_without_a_kernel(open_page):
    page = open_page()
    draw_seven(
        page,
        lambda x, y: (page.mouse.move(x, y), page.mouse.down()),
        page.mouse.move,
        page.mouse.up,
    )
    wait_for(page, 7)
    assert page.locator(".mc-best .mc-digit").inner_text() == "7"
    page.get_by_role("button", name="Undo").click()
    page.wait_for_function(
        "() => document.querySelector('.mc-live').textContent.startsWith('blank')"
    )


def test_a_digit_drawn_by_touch_is_read(open_page, finger):
    page = open_page(has_touch=True, viewport={"width": 390, "height": 800}, is_mobile=True)
    before = page.evaluate("scrollY")
    draw_seven(page, *finger(page))
    wait_for(page, 7)
    assert page.evaluate("scrollY") == before
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_keyboard_alone_is_enough(open_page):
    page = open_page()
    page.locator(".mc-canvas").focus()
    for key in [
        "Shift+ArrowUp",
        "ArrowUp",
        "ArrowUp",
        "Shift+ArrowLeft",
        " ",
        *["ArrowRight"] * 10,
        *["ArrowDown", "ArrowDown", "ArrowLeft"] * 6,
    ]:
        page.keyboard.press("Space" if key == " " else key)
    wait_for(page, 7)
    page.get_by_role("button", name="Clear").press("Enter")
    page.wait_for_function(
        "() => document.querySelector('.mc-live').textContent.startsWith('blank')"
    )
    for digit in range(3):
        page.get_by_role("button", name="Clear").press("Enter")
        page.get_by_role("button", name="A sample digit").press("Enter")
        wait_for(page, digit)


@pytest.mark.drawn(2)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_nothing(open_page, violations, scheme, width):
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    page.get_by_role("button", name="A sample digit").click()
    assert violations(page) == []


def test_the_page_is_light_at_the_start(open_page):
    page = open_page()
    page.wait_for_function("() => window.model")
    sizes = page.evaluate(
        "performance.getEntriesByType('resource').map((one) => [one.name, one.transferSize])"
    )
    assert sum(size for _, size in sizes) < 1.5e6, sizes
    assert not any(name.endswith(".i8") for name, _ in sizes), "training is loaded on demand"


def test_a_look_costs_less_than_its_multiplications_would(open_page):
    "Four of five numbers are 0 after a ReLU, and 0 meets no weight: both counted in one browser."
    page = open_page()
    reading, counting = page.evaluate(
        f"""async (text) => {{ {DECODE}
            const {{Network}} = await import('./cnn.js')
            const network = new Network(await (await fetch('./net.f16')).arrayBuffer())
            const page = bytes(text)
            const numbers = new Float32Array(4096).fill(0.5)
            let [reading, counting, total] = [Infinity, Infinity, 0]
            for (let turn = 0; turn < 20; turn++) {{
                let start = performance.now()
                network.look(page)
                reading = Math.min(reading, performance.now() - start)
                start = performance.now()
                for (let i = 0; i < 37_263_988; i++) total += numbers[i & 4095] * numbers[(i >> 2) & 4095]
                counting = Math.min(counting, performance.now() - start)
            }}
            if (total < 0) throw new Error("so that nobody leaves the sum out")
            return [reading, counting]
        }}""",
        as_text(page_of_a_seven()),
    )
    assert reading < counting


def page_of_a_seven() -> np.ndarray:
    "28 x 28 bytes."
    image = np.zeros((28, 28), np.uint8)
    image[5:8, 6:22] = 255
    for row in range(8, 24):
        image[row, 19 - (row - 8) // 2 : 22 - (row - 8) // 2] = 255
    return image


@pytest.mark.parametrize(
    ("name", "what", "words"),
    [
        ("net.f16", lambda route: route.fulfill(body=b"half"), "cut short.*expected 1186400 bytes of weights, got 4"),
        ("net.f16", lambda route: route.fulfill(status=404), "net.f16 isn't on the server"),
        ("reference.f32", lambda route: route.fulfill(status=503), "couldn't be read .status 503"),
        ("net.f16", lambda route: route.abort(), "is the network down"),
    ],
    ids=["cut short", "missing", "refused", "offline"],
)  # fmt: skip
def test_which_fault_kept_the_weights_away(chromium, site, name, what, words):
    page = chromium.new_page()
    page.route(f"**/{name}", what)
    page.goto(site)
    told = page.get_by_role("alert")
    told.wait_for()
    assert re.search(words, told.inner_text()), told.inner_text()
    assert "The network could not be loaded" in told.inner_text() or "cut short" in words
    page.close()


def test_without_javascript_nothing_claims_to_load(chromium, site):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(site)
    text = page.locator("main").inner_text()
    assert "needs JavaScript" in text and "Loading" not in text
    context.close()


WHITE = """() => {
    const canvas = document.querySelector('.mc-canvas')
    const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
    let white = 0
    for (let i = 0; i < data.length; i += 4) white += data[i] > 127
    return white
}"""


@pytest.mark.parametrize("way", ["mouse", "touch", "keyboard"])
def test_a_dot_is_drawn_and_undo_takes_it_back(open_page, finger, way):
    touch = {"has_touch": True} if way == "touch" else {}
    page = open_page(**touch)
    undo = page.get_by_role("button", name="Undo", exact=True)
    assert undo.is_disabled() and page.evaluate(WHITE) == 0
    box = page.locator(".mc-canvas").bounding_box()
    place = box["x"] + 0.3 * box["width"], box["y"] + 0.6 * box["height"]
    if way == "keyboard":
        page.locator(".mc-canvas").focus()
        page.keyboard.press("Space")
        page.keyboard.press("Space")
    elif way == "mouse":
        page.mouse.click(*place)
    else:
        press, _, release = finger(page)
        press(*place)
        release()
    white = page.evaluate(WHITE)
    assert 250 < white < 400  # a disc as wide as the pen, 20 pixels
    assert undo.is_enabled()
    page.keyboard.press("Control+z") if way == "keyboard" else undo.click()
    assert page.evaluate(WHITE) == 0
    assert undo.is_disabled()
    page.get_by_role("button", name="Clear").click()  # of empty paper
    assert undo.is_disabled()


def test_one_line_speaks_for_the_pen_and_the_answer(open_page):
    page = open_page()
    live = page.locator("[aria-live]")
    assert live.count() == 1
    page.locator(".mc-canvas").focus()
    for key in [*["ArrowUp"] * 8, "Space"]:
        page.keyboard.press(key)
    assert live.inner_text() == "Pen down."
    for key in [*["ArrowDown"] * 16, "Space"]:
        page.keyboard.press(key)
    page.wait_for_function(
        "() => /^Pen up\\. .*1/.test(document.querySelector('[aria-live]').textContent)"
    )
    assert page.locator(".mc-answer").inner_text() in live.inner_text()


def test_words_and_bars_give_the_same_number(open_page):
    page = open_page()
    sure = 0
    for digit in range(10):
        page.get_by_role("button", name="A sample digit").click()
        page.wait_for_function(
            f"() => document.querySelector('.mc-best .mc-digit')?.textContent === '{digit}'"
        )
        bar = page.locator(".mc-best .mc-share").inner_text()
        words = page.locator(".mc-answer").inner_text()
        assert "100.0" not in bar + words
        if words.startswith(f"{digit} ("):
            assert words == f"{digit} ({bar})"
            sure += 1
    assert sure >= 8


def test_the_answer_is_on_the_first_screen_of_a_phone(open_page, finger):
    page = open_page(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 664})
    before = page.locator(".mc-canvas").bounding_box()
    draw_seven(page, *finger(page))
    wait_for(page, 7)
    box = page.locator(".mc-answer").bounding_box()
    assert box["y"] >= 0 and box["y"] + box["height"] <= before["y"], "above the pad"
    assert before["y"] + before["height"] <= 664, "and the pad is on it, too"
    assert page.locator(".mc-canvas").bounding_box() == before, "nothing moves under the finger"
    assert page.locator(".mc-help").get_attribute("open") is None


# ---- the Python side alone


def test_a_pad_reads_keeps_and_saves(sample, tmp_path):
    pad = DrawingPad(load_pretrained())
    assert not pad.array.any() and len(pad.drawings) == 0
    with pytest.raises(ValueError, match="empty"):
        pad.keep(3)
    with pytest.raises(ValueError, match="no drawings yet"):
        pad.drawings.accuracy(pad.model)
    for image, label in zip(sample[1].images[:3], sample[1].labels[:3].tolist(), strict=True):
        pad.put(image)
        assert pad.answer["label"] == label == predict(pad.model, pad.array).label
        pad.keep(label)
    with pytest.raises(ValueError, match="0 to 9"):
        pad.keep(10)
    with pytest.raises(ValueError, match="one picture"):
        pad.put(sample[1].images[:2])
    pad.drawings.save(tmp_path / "mine.npz")
    again = Drawings.load(tmp_path / "mine.npz")
    assert (
        len(again) == 3
        and np.array_equal(again.images, pad.drawings.images)
        and again.accuracy(pad.model) == 1
    )
    assert len(again + again) == 6 and [path.name for path in tmp_path.iterdir()] == ["mine.npz"]


def test_a_file_that_holds_no_drawings_is_told(tmp_path):
    (tmp_path / "a.npz").write_text("hello")
    np.savez(tmp_path / "b.npz", images=np.zeros(3), labels=np.zeros(3))
    for name in ("a.npz", "b.npz"):
        with pytest.raises(ValueError, match="holds no drawings"):
            Drawings.load(tmp_path / name)
    with pytest.raises(ValueError, match="there is no file"):
        Drawings.load(tmp_path / "c.npz")


def test_the_viewer_shows_the_courses_network_only():
    assert len(half_weights(Net())) == 2 * 593_200
    with pytest.raises(ValueError, match="another network"):
        half_weights(torch.nn.Linear(2, 2))


def test_the_reference_statistics_travel_with_the_courses_weights_only(open_page):
    assert len(_reference_bytes(load_pretrained())) == 4 * (10 * 128 + 128 * 128 + 3)
    assert _reference_bytes(Net()) == b""
    found = open_page().evaluate(
        "async () => { const {readReference, oodScoreOf} = await import('./cnn.js'); const {judge} = await import('./prepare.js');"
        " let words = ''; try { readReference(new ArrayBuffer(8)) } catch (error) { words = error.message }"
        " const sure = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]; const page = new Uint8Array(784).fill(30);"
        " return [readReference(new ArrayBuffer(0)), oodScoreOf({}, null), words, judge(sure, page).message, judge(sure, page, 2).message, judge(sure, page, 2).reason] }"
    )
    words = "expected 70668 bytes that say how digits look, got 8"
    assert found == [
        None,
        None,
        words,
        "0 (100.0%)",
        "unlike the digits it learned from; the nearest is 0",
        "out of distribution",
    ]


def test_a_bundle_has_no_imports_left():
    for name in ("pad", "viewer"):
        text = bundle(name)
        assert (
            "import {" not in text
            and text.count("export ") == 1
            and text.rstrip().endswith(
                f"export default {{render: kernel_js.withKernel({name}_js.render)}}"
            )
        )


@pytest.mark.slow
def test_ink_in_the_right_place_turns_the_answer(sample):
    "A 9 with an open loop is read as a 4, until the loop is closed; the same ink on its tail changes nothing."
    [mistake] = [
        one
        for one in worst_mistakes(predictions(load_pretrained(), sample[1]), sample[1], 1)
        if (one.label, one.answer) == (9, 4)
    ]
    pad = DrawingPad(load_pretrained())
    pad.put(sample[1].images[mistake.index])
    before = pad.array
    assert pad.answer["label"] == 4
    for (x0, y0), (x1, y1), answer in (((110, 60), (190, 80), 9), ((155, 170), (150, 240), 4)):
        ys, xs = np.mgrid[:_SIDE, :_SIDE]
        along = np.clip(
            ((xs - x0) * (x1 - x0) + (ys - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2),
            0,
            1,
        )
        stroke = np.hypot(xs - x0 - along * (x1 - x0), ys - y0 - along * (y1 - y0)) < 10
        pad.put(np.maximum(before, 255 * stroke.astype(np.uint8)))
        assert pad.answer["label"] == answer


def framed(image: np.ndarray, width: int) -> np.ndarray:
    "With a line along its four edges."
    return np.pad(255 - image, width, constant_values=0)


def in_a_box(image: np.ndarray, inset: int, side: int = 300) -> np.ndarray:
    "On a larger page, with a box around it; inset 0 leaves the digit free of it."
    page = np.zeros((side, side), np.uint8)
    first = (side - len(image)) // 2
    page[first : first + len(image), first : first + len(image)] = image
    edge = first - 6 + inset
    last = side - edge
    for line in (slice(edge, edge + 4), slice(last - 4, last)):
        page[line, edge:last] = page[edge:last, line] = 255
    return page


def beside(one: np.ndarray, other: np.ndarray, apart: int) -> np.ndarray:
    "Two drawings on one page; a negative number lets them overlap."
    one, other = (image[:, image.any(0)] for image in (one, other))
    page = np.zeros((len(one) + 20, one.shape[1] + other.shape[1] + apart + 40), np.uint8)
    page[10:-10, 20 : 20 + one.shape[1]] = one
    there = page[10:-10, -20 - other.shape[1] : -20]
    np.maximum(there, other, out=there)
    return page


def test_both_sides_find_frames_lines_pale_ink_and_two_digits(open_page, sample):
    # from 2 on: a straight 1 balances halfway between two pixels, and falls to either side
    images = [drawing.image for drawing in foreign_digits(12, seed=5, kinds=["pen"])][2:]
    images = [image if np.median(image) < 128 else 255 - image for image in images]
    pictures = [framed(image, 1 + i) for i, image in enumerate(images[:4])]
    pictures += [in_a_box(image, inset) for image in images[:4] for inset in (0, 60)]
    underlined = np.pad(images[5], ((0, 20), (0, 0)))
    underlined[-10:-6] = 255
    pictures += [underlined, images[6] // 8, images[7] // 20, np.zeros((60, 40), np.uint8)]
    pictures += [
        beside(images[i], images[i + 1], apart) for i in range(4) for apart in (40, 4, -6, -14)
    ]
    found = open_page().evaluate(
        f"async (pictures) => {{ {DECODE} const {{examine}} = await import('./prepare.js');"
        " return pictures.map(([text, height, width]) => {"
        " const {page, seen, halves} = examine(bytes(text), height, width);"
        " return [Array.from(page), seen, halves.length] }) }",
        [[as_text(picture), *picture.shape] for picture in pictures],
    )
    kinds = set()
    for picture, (page, seen, halves) in zip(pictures, found, strict=True):
        ours = steps(picture)
        assert np.abs(np.array(page).reshape(28, 28) - ours["centered"].astype(int)).max() <= 2
        layout = layout_of(resize(ours["cropped"], FINE))
        pale = not to_ink(ours["gray"]).any()
        assert seen == ("pale" if pale else layout)
        if not seen:
            assert halves == len(halves_of(ours["cropped"]))
        kinds |= {seen, halves}
    assert kinds == {"", "pale", "frame", "two digits", 0, 2}


# ---- the Python side alone


def drawn(*labels: int) -> Drawings:
    return Drawings(
        np.arange(len(labels) * 16, dtype=np.uint8).reshape(-1, 4, 4), np.array(labels, np.int64)
    )


def test_two_sets_of_drawings_become_one(tmp_path, monkeypatch):
    both = drawn(1, 2) + drawn(7)
    assert len(both) == 3 and both.images.shape == (3, 4, 4) and both.labels.tolist() == [1, 2, 7]
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    both.save("~/mine.npz")
    again = Drawings.load("~/mine.npz")
    assert np.array_equal(again.images, both.images) and again.labels.dtype == np.int64


def test_nobody_reads_nothing():
    with pytest.raises(ValueError, match="there are no drawings yet"):
        drawn().accuracy(Net())


@pytest.mark.parametrize("side", [1, 7, 28, 300])
@pytest.mark.parametrize(
    ("value", "kind", "ink"),
    [
        (200, np.uint8, 200),
        (200, np.int64, 200),
        (1.0, np.float32, 255),
        (0.4, np.float64, 102),
        (1.7, np.float32, 255),
        (-0.3, np.float32, 0),
        (300, np.int64, 255),
    ],
)
def test_a_picture_fills_the_pad_and_keeps_its_tone(side, value, kind, ink, recwarn):
    pad = DrawingPad()
    for picture in (np.full((side, side), value, kind), torch.full((side, side), value).float()):
        if isinstance(picture, torch.Tensor) and not isinstance(value, float):
            picture = picture.long()
        pad.put(picture)
        assert (pad.array == ink).all() and pad.array.shape == (_SIDE, _SIDE)
    assert not list(recwarn)


def test_what_the_browser_keeps_is_kept_or_said():
    pad = DrawingPad()
    pad.kept = {"label": 3}
    assert pad.answer["message"] == "the pad is empty: draw a digit first"
    pad.put(np.eye(28))
    pad.kept = {"label": 4}
    assert pad.answer["message"] == "kept: 1 drawings"
    pad.kept = {"label": np.int64(5), "again": 1}
    pad.kept = {"other": 1}
    assert pad.answer["message"] == "a digit is one of 0 to 9, got -1"
    assert pad.drawings.labels.tolist() == [4, 5] and pad.drawings.labels.dtype == np.int64
    assert all(np.array_equal(image, pad.array) for image in pad.drawings.images)


def test_the_browser_gets_what_the_pad_needs():
    state = DrawingPad(can_keep=False).get_state()
    assert state["can_keep"] is False and DrawingPad().can_keep is True
    assert state["side"] == 280 and state["kept"] == {} and state["answer"] == {}
    assert len(state["samples"]) % 784 == 0 < len(state["samples"])
    assert state["_esm"] == bundle("pad") and ".mc-" in state["_css"]
