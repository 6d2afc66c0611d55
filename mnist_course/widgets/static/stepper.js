// A kernel that is laid on a digit by hand: the patch under it, the products, their sum, and the
// map that fills in place by place.

import {h, liveRegion, uniqueId} from "./common.js"
import {
  diverging,
  following,
  inside,
  kept,
  mapSize,
  moved,
  readable,
  resized,
  slide,
  step,
} from "./slide.js"

const SIDE = 28
const MOST = 1000 // the largest number that Python takes for a kernel or a bias
const EVERY = 100 // milliseconds between two messages while the kernel moves
const PACE = 30 // milliseconds at each place while the kernel slides by itself
const WATCHED = ["image", "kernel", "bias", "stride", "padding", "relu", "place"]
const HOW =
  "Drag the frame over the digit, or press a place on the map. With the keyboard: arrow keys " +
  "move it by one place, with Shift by five; Home, End, Page Up and Page Down take it to the edges."

/** Two decimals, and never "-0.00". */
function number(value) {
  const text = Math.abs(value) >= 1000 ? value.toPrecision(4) : value.toFixed(2)
  return /^-[0.]+$/.test(text) ? text.slice(1) : text
}

/** What somebody typed, or null when it is not a number that a kernel can have. */
function typed(input) {
  const value = input.valueAsNumber
  return Math.abs(value) <= MOST ? value : null
}

const colour = (rgb) => `rgb(${rgb.map(Math.round).join(" ")})`

/** Give an element the colour of its number. */
function tint(element, rgb) {
  element.style.background = colour(rgb)
  element.style.color = readable(rgb)
}

/** The bytes of a picture as numbers from 0 (paper) to 1 (ink). */
function pixelsOf(view) {
  return Float64Array.from({length: SIDE * SIDE}, (_, i) =>
    view?.byteLength === SIDE * SIDE ? view.getUint8(i) / 255 : 0,
  )
}

/** Rows of cells under a name; `make` gives what stands in each. */
function table(name, size, make) {
  const cells = Array.from({length: size}, (_, i) =>
    Array.from({length: size}, (_, j) => make(i, j)),
  )
  const body = h("tbody", {}, ...cells.map((line) => h("tr", {}, ...line)))
  return {cells, element: h("table", {class: "mc-numbers"}, h("caption", {}, name), body)}
}

export function render({model, el}) {
  const help = h("p", {class: "mc-help", id: uniqueId("help")}, HOW)
  const digit = h("canvas", {
    class: "mc-grid mc-drag",
    width: SIDE,
    height: SIDE,
    tabindex: 0,
    role: "application",
    "aria-label": "Digit with the kernel on it",
    "aria-describedby": help.id,
  })
  const paper = h("span", {class: "mc-border", "aria-hidden": "true"})
  const frame = h("span", {class: "mc-frame", "aria-hidden": "true"})
  const digitWords = h("figcaption", {})
  const map = h("canvas", {class: "mc-grid", role: "img"})
  const spot = h("span", {class: "mc-spot", "aria-hidden": "true"})
  const mapWords = h("figcaption", {})
  const legend = h("canvas", {class: "mc-grid", width: 101, height: 1, "aria-hidden": "true"})
  const [lowest, highest] = [h("span"), h("span")]
  const scale = h("p", {class: "mc-scale"}, lowest, h("span", {class: "mc-ramp"}, legend), highest)
  const said = liveRegion()
  const numbers = h("div", {class: "mc-sums"})
  let tables = null // patch, kernel and products, for a kernel of one size
  let own = null // the field in which somebody is typing
  let visited = {shape: "", places: new Uint8Array(0)}
  let grab = null // the pointer that drags, and where it took hold of the kernel
  let sent = 0
  let waiting = null
  let sliding = null

  const settings = () =>
    Object.fromEntries(
      ["kernel", "bias", "stride", "padding", "relu"].map((name) => [name, model.get(name)]),
    )
  const size = () => mapSize({height: SIDE, width: SIDE}, model.get("kernel"), settings())
  const place = () => inside(model.get("place"), size())

  // ---- to Python

  const send = () => {
    clearTimeout(waiting)
    waiting = null
    sent = performance.now()
    model.save_changes()
  }
  const sendSoon = () => {
    if (waiting === null) waiting = setTimeout(send, Math.max(0, sent + EVERY - performance.now()))
  }
  const moveTo = (next) => {
    const [row, column] = inside(next, size())
    const [before, beside] = model.get("place")
    if (row === before && column === beside) return
    model.set("place", [row, column])
    sendSoon()
  }
  const change = (values) => {
    stop()
    const before = settings()
    model.set("place", kept(place(), before, {...before, ...values}, SIDE))
    for (const [name, value] of Object.entries(values)) model.set(name, value)
    send()
  }

  // ---- what is seen

  const build = (k) => {
    const cell = () => h("td", {})
    const patch = table("patch", k, cell)
    const products = table("products", k, cell)
    const fields = []
    const kernel = table("kernel", k, (i, j) => {
      const field = h("input", {
        type: "number",
        step: "any",
        min: -MOST,
        max: MOST,
        inputmode: "text",
        "aria-label": `Kernel, row ${i}, column ${j}`,
      })
      field.addEventListener("input", () => {
        const value = typed(field)
        field.setAttribute("aria-invalid", value === null)
        if (value === null) return
        own = field
        change({
          kernel: model
            .get("kernel")
            .map((line, y) => line.map((old, x) => (y === i && x === j ? value : old))),
        })
        own = null
      })
      field.addEventListener("change", () => write(field, model.get("kernel")[i][j]))
      fields.push(field)
      return h("td", {}, field)
    })
    tables = {k, patch, kernel, products, fields}
    const behind = (sign, {element}) =>
      h("div", {class: "mc-term"}, h("span", {class: "mc-sign"}, sign), element)
    numbers.replaceChildren(patch.element, behind("×", kernel), behind("=", products))
  }

  const write = (field, value) => {
    field.value = `${+value.toFixed(4)}`
    field.removeAttribute("aria-invalid")
  }

  const paintDigit = (pixels, padding) => {
    const cells = SIDE + 2 * padding
    digit.width = digit.height = cells
    const context = digit.getContext("2d")
    const picture = context.createImageData(cells, cells)
    for (let i = 0; i < cells * cells; i++) {
      const [y, x] = [Math.floor(i / cells) - padding, (i % cells) - padding]
      const grey = y >= 0 && y < SIDE && x >= 0 && x < SIDE ? 255 * pixels[y * SIDE + x] : 0
      picture.data.set([grey, grey, grey, 255], 4 * i)
    }
    context.putImageData(picture, 0, 0)
    paper.hidden = !padding
    paper.style.inset = `${(100 * padding) / cells}%`
  }

  const paintMap = ({rows, columns, values}, top) => {
    map.width = columns
    map.height = rows
    const context = map.getContext("2d")
    const picture = context.createImageData(columns, rows)
    values.forEach((value, i) => {
      const faint = whole.checked || visited.places[i] ? 0 : 0.6
      const rgb = diverging(top ? value / top : 0).map((part) => part + faint * (185 - part))
      picture.data.set([...rgb, 255], 4 * i)
    })
    context.putImageData(picture, 0, 0)
  }

  const refresh = () => {
    const {kernel, bias, stride, padding, relu} = settings()
    const k = kernel.length
    const image = {pixels: pixelsOf(model.get("image")), height: SIDE, width: SIDE}
    const [row, column] = place()
    const seen = slide(image, kernel, settings())
    const here = step(image, kernel, [row, column], settings())
    const top = seen.values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)

    const shape = `${seen.rows} ${seen.columns}`
    if (visited.shape !== shape) visited = {shape, places: new Uint8Array(seen.values.length)}
    visited.places[row * seen.columns + column] = 1
    paintDigit(image.pixels, padding)
    paintMap(seen, top)

    const cells = SIDE + 2 * padding
    Object.assign(frame.style, {
      top: `${(100 * row * stride) / cells}%`,
      left: `${(100 * column * stride) / cells}%`,
      width: `${(100 * k) / cells}%`,
      height: `${(100 * k) / cells}%`,
    })
    Object.assign(spot.style, {
      top: `${(100 * row) / seen.rows}%`,
      left: `${(100 * column) / seen.columns}%`,
      width: `${100 / seen.columns}%`,
      height: `${100 / seen.rows}%`,
    })
    digitWords.textContent = `Digit, ${SIDE} x ${SIDE}${padding ? ", and a border of zeros" : ""}`
    mapWords.textContent = `Map, ${seen.rows} x ${seen.columns}`
    const [least, most] = [Math.min(...seen.values), Math.max(...seen.values)]
    map.setAttribute(
      "aria-label",
      `Map of ${seen.rows} x ${seen.columns} numbers, from ${number(least)} to ${number(most)}`,
    )
    lowest.textContent = number(-top)
    highest.textContent = number(top)

    if (tables?.k !== k) build(k)
    const largest = Math.max(...kernel.flat().map(Math.abs)) || 1
    for (let i = 0; i < k; i++)
      for (let j = 0; j < k; j++) {
        const [pixel, product, field] = [
          tables.patch.cells[i][j],
          tables.products.cells[i][j],
          tables.fields[i * k + j],
        ]
        pixel.textContent = number(here.patch[i][j])
        pixel.classList.toggle("mc-outside", here.border[i][j])
        tint(pixel, Array(3).fill(255 * here.patch[i][j]))
        product.textContent = number(here.products[i][j])
        tint(product, diverging(here.products[i][j] / largest))
        tint(field, diverging(kernel[i][j] / largest))
        if (field !== own) write(field, kernel[i][j])
      }

    const sum = `Row ${row}, column ${column}: the ${k * k} products add up to ${number(here.sum)}.`
    const more = bias ? ` With the bias of ${number(bias)}: ${number(here.sum + bias)}.` : ""
    const end = !relu
      ? ""
      : here.output === here.sum + bias
        ? " ReLU leaves that as it is."
        : " ReLU makes that 0."
    if (said.textContent !== sum + more + end) said.textContent = sum + more + end

    const same = model
      .get("kernels")
      .findIndex((one) => JSON.stringify(one.kernel) === JSON.stringify(kernel))
    choice.value = same < 0 ? "" : `${same}`
    sizes.value = `${k}`
    if (own !== biasField) write(biasField, bias)
    strides.value = `${stride}`
    paddings.value = `${padding}`
    reluBox.checked = relu
  }

  // ---- the kernel, moved by mouse, touch and keyboard

  const cellAt = (event) => {
    const box = digit.getBoundingClientRect()
    const cells = SIDE + 2 * model.get("padding")
    return [
      ((event.clientY - box.top) / box.height) * cells,
      ((event.clientX - box.left) / box.width) * cells,
    ]
  }
  const drag = (event) =>
    moveTo(cellAt(event).map((cell, i) => Math.round((cell - grab.hold[i]) / model.get("stride"))))

  digit.addEventListener("pointerdown", (event) => {
    if (grab || (event.pointerType === "mouse" && event.button !== 0)) return
    event.preventDefault()
    stop()
    digit.focus({preventScroll: true})
    digit.setPointerCapture?.(event.pointerId)
    const k = model.get("kernel").length
    const hold = place().map((index, i) => cellAt(event)[i] - index * model.get("stride"))
    const onIt = hold.every((part) => part >= 0 && part <= k)
    // beside the kernel: it jumps under the pointer
    grab = {id: event.pointerId, hold: onIt ? hold : [k / 2, k / 2]}
    drag(event)
  })
  digit.addEventListener("pointermove", (event) => {
    if (grab?.id === event.pointerId) drag(event)
  })
  for (const name of ["pointerup", "pointercancel"])
    digit.addEventListener(name, (event) => {
      if (grab?.id !== event.pointerId) return
      grab = null
      send()
    })
  digit.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return
    const next = moved(event.key, event.shiftKey, place(), size())
    if (!next) return
    event.preventDefault()
    stop()
    moveTo(next)
  })
  map.addEventListener("click", (event) => {
    const box = map.getBoundingClientRect()
    const [rows, columns] = size()
    stop()
    moveTo([
      Math.floor(((event.clientY - box.top) / box.height) * rows),
      Math.floor(((event.clientX - box.left) / box.width) * columns),
    ])
  })

  // ---- the kernel, moving by itself

  const stop = () => {
    if (sliding === null) return
    clearInterval(sliding)
    sliding = null
    slideButton.textContent = "Slide"
    said.setAttribute("aria-live", "polite")
    send()
  }
  const start = () => {
    said.setAttribute("aria-live", "off") // a sentence every few milliseconds is no help
    slideButton.textContent = "Stop"
    sliding = setInterval(() => {
      moveTo(following(place(), size()))
      if (following(place(), size()).every((index) => index === 0)) stop()
    }, PACE)
  }
  const slideButton = h(
    "button",
    {type: "button", class: "mc-button", onclick: () => (sliding === null ? start() : stop())},
    "Slide",
  )

  // ---- what can be set

  const select = (values, action) => {
    const element = h("select", {}, ...values.map(([value, words]) => h("option", {value}, words)))
    element.addEventListener("change", () => action(Number(element.value)))
    return element
  }
  const choice = h(
    "select",
    {"aria-label": "Kernel from the list"},
    h("option", {value: ""}, "own numbers"),
  )
  model.get("kernels").forEach((one, i) => {
    let group = [...choice.querySelectorAll("optgroup")].find((other) => other.label === one.group)
    if (!group) {
      group = h("optgroup", {label: one.group})
      choice.append(group)
    }
    group.append(h("option", {value: i}, one.name))
  })
  choice.addEventListener("change", () => {
    const one = model.get("kernels")[choice.value]
    if (one) change({kernel: one.kernel, bias: one.bias})
  })
  const sizes = select(
    [
      [3, "3 x 3"],
      [5, "5 x 5"],
    ],
    (k) => change({kernel: resized(model.get("kernel"), k)}),
  )
  const strides = select(
    [
      [1, "1"],
      [2, "2"],
    ],
    (stride) => change({stride}),
  )
  const paddings = select(
    [
      [0, "0"],
      [1, "1"],
    ],
    (padding) => change({padding}),
  )
  const biasField = h("input", {
    type: "number",
    step: "any",
    min: -MOST,
    max: MOST,
    class: "mc-bias",
  })
  biasField.addEventListener("input", () => {
    const bias = typed(biasField)
    biasField.setAttribute("aria-invalid", bias === null)
    if (bias === null) return
    own = biasField
    change({bias})
    own = null
  })
  biasField.addEventListener("change", () => write(biasField, model.get("bias")))
  const reluBox = h("input", {type: "checkbox", onchange: () => change({relu: reluBox.checked})})
  const whole = h("input", {
    type: "checkbox",
    onchange: () => {
      visited.shape = "" // it fills in anew
      refresh()
    },
  })
  const nextDigit = h(
    "button",
    {
      type: "button",
      class: "mc-button",
      onclick: () => {
        const [samples, image] = [model.get("samples"), pixelsOf(model.get("image"))]
        const count = samples.byteLength / image.length
        const isThis = (n) =>
          image.every((pixel, i) => samples.getUint8(n * image.length + i) / 255 === pixel)
        const next = (Array.from({length: count}, (_, n) => n).findIndex(isThis) + 1) % count
        change({
          image: new DataView(
            Uint8Array.from(image, (_, i) => samples.getUint8(next * image.length + i)).buffer,
          ),
        })
      },
    },
    "Next digit",
  )
  if (!model.get("samples")?.byteLength) nextDigit.hidden = true

  const tools = h(
    "div",
    {class: "mc-tools", role: "group", "aria-label": "Move"},
    slideButton,
    h("label", {}, whole, " Fill in the whole map"),
    nextDigit,
  )
  const setting = h(
    "div",
    {class: "mc-tools", role: "group", "aria-label": "Settings"},
    h("label", {}, "Kernel ", choice),
    h("label", {}, "Size ", sizes),
    h("label", {}, "Bias ", biasField),
    h("label", {}, "Stride ", strides),
    h("label", {}, "Padding ", paddings),
    h("label", {}, reluBox, " ReLU"),
  )
  const pictures = h(
    "div",
    {class: "mc-pair"},
    h(
      "figure",
      {class: "mc-layer"},
      digitWords,
      h("div", {class: "mc-sheet"}, digit, paper, frame),
    ),
    h("figure", {class: "mc-layer"}, mapWords, h("div", {class: "mc-sheet"}, map, spot), scale),
  )
  const stepper = h("div", {class: "mc mc-stepper"}, help, pictures, tools, numbers, said, setting)
  // JupyterLab has plans of its own for letters and arrows
  stepper.addEventListener("keydown", (event) => event.stopPropagation())

  const ramp = legend.getContext("2d")
  for (let i = 0; i <= 100; i++) {
    ramp.fillStyle = colour(diverging(i / 50 - 1))
    ramp.fillRect(i, 0, 1, 1)
  }
  refresh()
  for (const name of WATCHED) model.on(`change:${name}`, refresh)
  el.append(stepper)
  return () => {
    clearTimeout(waiting)
    clearInterval(sliding)
    for (const name of WATCHED) model.off(`change:${name}`, refresh)
  }
}

export default {render}
