// One number taken apart, or one answer: the view. The sums come from anatomy.js.

import {fieldOf, ORDER} from "./anatomy.js"
import {KERNELS} from "./cnn.js"
import {h, paint, percent} from "./common.js"
import {diverging, readable} from "./slide.js"

const LAYERS = {
  input: "pixels",
  conv1: "conv1",
  conv2: "conv2",
  pool1: "pool1",
  conv3: "conv3",
  conv4: "conv4",
  pool2: "pool2",
  fc1: "fc1, fifty numbers",
  fc2: "fc2, ten scores",
  log_softmax: "log_softmax, ten answers",
}
const FIRST = 4 // parts that are shown before somebody asks for all

/** Three decimals, and never "-0.000". */
export function decimals(value, count = 3) {
  const text = value.toFixed(count)
  return /^-[0.]+$/.test(text) ? text.slice(1) : text
}
const signed = (value, count = 3) => (value >= 0 ? "+" : "") + decimals(value, count)

/** For a small cell: as many decimals as fit. */
function short(value) {
  const size = Math.abs(value)
  return decimals(value, size >= 100 ? 0 : size >= 10 ? 1 : 2)
}

/** "conv2[12, 3, 5]", as one would write it in Python. */
export function nameOf({layer, map, row, column}) {
  if (layer === "input") return `pixel[${row}, ${column}]`
  return `${layer}[${ORDER[layer].shape[1] > 1 ? [map, row, column].join(", ") : map}]`
}

/** A small table of numbers, each on the color of its size. */
function grid(name, values, width, most, press = null, mark = -1) {
  const rows = []
  for (let i = 0; i < values.length; i += width)
    rows.push(
      h(
        "tr",
        {},
        ...values.slice(i, i + width).map((value, k) => {
          const rgb = diverging(most ? value / most : 0)
          const cell = h(
            "td",
            {
              style: `background: rgb(${rgb.map(Math.round).join(" ")}); color: ${readable(rgb)}`,
              class: i + k === mark ? "mc-winner" : null,
              title: `${value}`,
            },
            short(value),
          )
          if (press) cell.addEventListener("click", () => press(i + k))
          return cell
        }),
      ),
    )
  return h(
    "table",
    {class: `mc-cells${press ? " mc-press" : ""}`},
    h("caption", {}, name),
    h("tbody", {}, ...rows),
  )
}

/** The widest of some numbers, for one scale. */
const size = (lists) => Math.max(0, ...lists.flat().map(Math.abs))

/** A bar to the right of the middle for what speaks for it, to the left for what speaks against. */
function balance(value, most) {
  const share = most ? (50 * Math.abs(value)) / most : 0
  const bar = h("span", {class: value < 0 ? "mc-against" : "mc-for"})
  bar.style.width = `${share}%`
  bar.style.left = value < 0 ? `${50 - share}%` : "50%"
  return h("span", {class: "mc-balance", "aria-hidden": "true"}, bar)
}

const button = (words, action, more = {}) =>
  h("button", {type: "button", class: "mc-button", onclick: action, ...more}, words)

/**
 * The panel. actions: choose(at), back(), close(), edit(change), peak(layer, map).
 * show(made, latest, way) gives the words for those who listen.
 */
export function inspect(actions) {
  const element = h("section", {
    class: "mc-inspector",
    "aria-label": "Taken apart",
    hidden: true,
  })
  const heading = h("h2", {tabindex: -1})
  const back = button("Back", actions.back)
  const close = button("Close", actions.close)
  const body = h("div", {class: "mc-body"})
  const pick = picker(actions.choose)
  const map = bigMap(actions.choose)
  element.append(h("div", {class: "mc-head"}, heading, back, close), pick.element, body)
  let all = false // are all parts shown?
  let key = "" // of what is shown: another thing begins folded again

  const show = (made, latest, way) => {
    const same = made.layer === undefined ? `answer ${made.digit}` : `${made.layer} ${made.map}`
    if (same !== key) all = false
    key = same
    element.hidden = false
    back.disabled = !way
    const redraw = () => {
      all = true
      show(made, latest, way)
    }
    const held = map.element.contains(document.activeElement)
    pick.element.hidden = made.layer === undefined
    if (made.layer === undefined) {
      heading.textContent =
        made.other === null
          ? `What speaks for ${made.digit}?`
          : `Why ${made.digit} and not ${made.other}?`
      body.replaceChildren(...answerView(made, latest, actions))
      return `${heading.textContent} ${body.querySelector(".mc-total").textContent}`
    }
    pick.show(made)
    heading.textContent = `${nameOf(made)} is ${decimals(made.value)}`
    const [, rows] = ORDER[made.layer].shape
    const views = numberView(made, actions, all, redraw)
    if (rows > 1) {
      map.show(made, latest)
      views.splice(1, 0, h("div", {class: "mc-look"}, map.element, path(made, latest, actions)))
    } else if (made.layer === "fc1") views.splice(1, 0, path(made, latest, actions))
    body.replaceChildren(...views)
    if (held) map.element.focus({preventScroll: true})
    return `${heading.textContent}. ${body.querySelector(".mc-total").textContent}`
  }
  const hide = () => {
    element.hidden = true
  }
  const focus = () => heading.focus()
  return {element, show, hide, focus}
}

/** Which number: with four fields, for those who know it by name, or can't press a pixel. */
function picker(choose) {
  const layer = h(
    "select",
    {"aria-label": "layer"},
    ...Object.entries(LAYERS).map(([name, words]) => h("option", {value: name}, words)),
  )
  const fields = ["map", "row", "column"].map((name) =>
    h("input", {type: "number", min: 0, step: 1, name, inputmode: "numeric"}),
  )
  const element = h(
    "div",
    {class: "mc-pick", role: "group", "aria-label": "Which number"},
    h("label", {}, "layer ", layer),
    ...fields.map((field) => h("label", {}, `${field.name} `, field)),
  )
  let typed = null // the field that somebody types in: an answer to something earlier may come now
  const moved = () => {
    typed = null
    const {shape} = ORDER[layer.value]
    const at = {layer: layer.value}
    fields.forEach((field, i) => {
      const value = Number.isInteger(field.valueAsNumber) ? field.valueAsNumber : 0
      at[field.name] = Math.min(Math.max(value, 0), shape[i] - 1)
    })
    choose(at)
  }
  layer.addEventListener("change", moved)
  for (const field of fields) {
    field.addEventListener("input", () => {
      typed = field
    })
    field.addEventListener("blur", () => {
      typed = null
    })
    field.addEventListener("change", moved)
  }
  const show = (made) => {
    const {shape} = ORDER[made.layer]
    layer.value = made.layer
    fields.forEach((field, i) => {
      field.max = shape[i] - 1
      if (field !== typed) field.value = made[field.name]
      field.parentElement.hidden = shape[i] === 1
      field.title = `0 to ${shape[i] - 1}`
    })
  }
  return {element, show}
}

/** The whole map, large enough for a finger, with the chosen number marked. */
function bigMap(choose) {
  const canvas = h("canvas", {class: "mc-map"})
  const spot = h("span", {class: "mc-spot", "aria-hidden": "true"})
  const element = h(
    "div",
    {class: "mc-big", tabindex: 0, role: "application", "aria-roledescription": "map"},
    canvas,
    spot,
  )
  let at = null
  const go = (row, column) => {
    const [, rows, columns] = ORDER[at.layer].shape
    const inside = (value, count) => Math.min(Math.max(value, 0), count - 1)
    choose({...at, row: inside(row, rows), column: inside(column, columns)})
  }
  element.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect()
    const [, rows, columns] = ORDER[at.layer].shape
    go(
      Math.floor(((event.clientY - box.top) / box.height) * rows),
      Math.floor(((event.clientX - box.left) / box.width) * columns),
    )
  })
  element.addEventListener("keydown", (event) => {
    const moves = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]}
    const move = moves[event.key]
    if (!move || event.altKey || event.ctrlKey || event.metaKey) return
    event.preventDefault()
    event.stopPropagation()
    const far = event.shiftKey ? 5 : 1
    go(at.row + far * move[0], at.column + far * move[1])
  })
  const show = ({layer, map, row, column}, {activations, page}) => {
    const [, rows, columns] = ORDER[layer].shape
    at = {layer, map, row, column}
    const area = rows * columns
    const values =
      layer === "input" ? page : activations[layer].data.subarray(map * area, (map + 1) * area)
    const most = layer === "input" ? 255 : Math.max(...values)
    paint(canvas, values, rows, columns, 0, most, layer === "input" ? 1 : 0.5)
    spot.style.top = `${(100 * row) / rows}%`
    spot.style.left = `${(100 * column) / columns}%`
    spot.style.height = `${100 / rows}%`
    spot.style.width = `${100 / columns}%`
    const words = layer === "input" ? "the pixels" : `map ${map} of ${layer}`
    element.setAttribute(
      "aria-label",
      `${words}, row ${row}, column ${column}. Arrow keys move, with Shift by five.`,
    )
  }
  return {element, show}
}

/** A thumbnail of a map, with the part that a number sees of it. */
function thumbnail(layer, map, {activations, page}, box, press = null) {
  const [, rows, columns] = ORDER[layer].shape
  const canvas = h("canvas", {class: "mc-map"})
  const area = rows * columns
  const values =
    layer === "input" ? page : activations[layer].data.subarray(map * area, (map + 1) * area)
  paint(canvas, values, rows, columns, 0, layer === "input" ? 255 : Math.max(...values), 0.5)
  const words = layer === "input" ? "pixels" : `${layer}, map ${map}`
  const parts = [canvas]
  if (box) {
    const frame = h("span", {class: "mc-field", "aria-hidden": "true"})
    frame.style.top = `${(100 * box.top) / rows}%`
    frame.style.left = `${(100 * box.left) / columns}%`
    frame.style.height = `${(100 * (box.bottom - box.top + 1)) / rows}%`
    frame.style.width = `${(100 * (box.right - box.left + 1)) / columns}%`
    parts.push(frame)
  }
  const picture = h("span", {class: "mc-thumb"}, ...parts)
  if (!press) return h("figure", {}, picture, h("figcaption", {}, words))
  return h("button", {type: "button", class: "mc-pictured", onclick: press}, picture, words)
}

/** All that a number sees: of each layer before it, the map that fires most in there. */
function path(made, latest, actions) {
  const boxes = fieldOf(made.layer, made.row, made.column).reverse()
  const figures = boxes.map((box) => {
    if (box.layer === "input") return thumbnail("input", 0, latest, box)
    const {shape, data} = latest.activations[box.layer]
    const [count, rows, columns] = shape
    let [best, most] = [0, -1]
    for (let map = 0; map < count; map++) {
      let sum = 0
      for (let y = box.top; y <= box.bottom; y++)
        for (let x = box.left; x <= box.right; x++) sum += data[(map * rows + y) * columns + x]
      if (sum > most) [best, most] = [map, sum]
    }
    return thumbnail(box.layer, best, latest, box, () =>
      actions.choose({layer: box.layer, map: best, ...actions.peak(box.layer, best)}),
    )
  })
  if (!figures.length) return h("div", {})
  const [first] = boxes
  const [high, wide] = [first.bottom - first.top + 1, first.right - first.left + 1]
  const all = high === 28 && wide === 28
  return h(
    "div",
    {class: "mc-path"},
    h("p", {}, all ? "It sees the whole picture." : `It sees ${high} × ${wide} pixels.`),
    h("div", {class: "mc-thumbs"}, ...figures),
  )
}

const totalLine = (text) => h("p", {class: "mc-total"}, text)

/** What "What if?" offers for a map. */
function whatIf({layer, map, silent}, actions) {
  if (layer === "input" || layer === "fc2" || layer === "log_softmax") return []
  const one = layer === "fc1" ? "number" : "map"
  const row = h(
    "div",
    {class: "mc-tools"},
    button(
      silent ? `${one} ${map} is silent` : `Silence ${one} ${map}`,
      () => actions.edit({kind: "silence", layer, map}),
      {disabled: silent},
    ),
  )
  if (layer.startsWith("conv")) {
    const kernel = h(
      "select",
      {"aria-label": "Swap its kernel for"},
      ...Object.keys(KERNELS).map((name) => h("option", {value: name}, name)),
    )
    row.append(
      kernel,
      button("Swap its kernel", () =>
        actions.edit({kind: "swap", layer, map, kernel: kernel.value}),
      ),
    )
  }
  return [h("h3", {}, "What if?"), row]
}

/** Everything below the heading, for one number. */
function numberView(made, actions, all, redraw) {
  const views = {
    pixel: pixelView,
    softmax: softmaxView,
    pool: poolView,
    convolution: sumView,
    dense: sumView,
  }
  return [...views[made.kind](made, actions, all, redraw), ...whatIf(made, actions)]
}

function pixelView({byte, share, mean, std, value}) {
  return [
    totalLine(
      `Ink ${byte} of 255 is ${decimals(share)}. Less the mean, ${mean}, divided by the ` +
        `spread, ${std}, that's ${decimals(value)}.`,
    ),
  ]
}

function softmaxView({map, logits, logSum, value, probability}, actions) {
  return [
    totalLine(
      `Score ${decimals(logits[map])} less ${decimals(logSum)}, the logarithm of all ten powers ` +
        `added up, is ${decimals(value)}. And e to that is ${percent(probability)}.`,
    ),
    h(
      "ol",
      {class: "mc-rows", start: 0},
      ...logits.map((logit, digit) =>
        h(
          "li",
          {},
          button(`score of ${digit}`, () =>
            actions.choose({layer: "fc2", map: digit, row: 0, column: 0}),
          ),
          balance(logit, size([logits])),
          h("b", {}, decimals(logit)),
        ),
      ),
    ),
  ]
}

function poolView({from, map, row, column, values, winner, silent, value}, actions) {
  const [y, x] = [2 * row + (winner >> 1), 2 * column + (winner % 2)]
  const winning = {layer: from, map, row: y, column: x}
  return [
    totalLine(
      `Of four numbers the largest goes on: ${decimals(values[winner])}, row ${y}, column ${x} ` +
        `of map ${map} of ${from}.${silent ? ` You silenced this map: ${decimals(value)}.` : ""}`,
    ),
    h(
      "div",
      {class: "mc-grids"},
      grid(
        `map ${map} of ${from}`,
        values,
        2,
        size([values]),
        (k) =>
          actions.choose({layer: from, map, row: 2 * row + (k >> 1), column: 2 * column + (k % 2)}),
        winner,
      ),
    ),
    button(`Take the winner apart, ${nameOf(winning)}`, () => actions.choose(winning)),
  ]
}

/** What is not shown, in one line; nothing where everything is. */
const restLine = (rest, sum, ...more) =>
  rest.length
    ? [
        h(
          "div",
          {class: "mc-rest"},
          h("span", {}, rest.length === 1 ? "the other one" : `the other ${rest.length} together`),
          h("b", {}, sum),
          ...more,
        ),
      ]
    : []

/** Of a part: where its largest product is, in the layer before. */
function strongestOf({from, map, top, left, width, products}) {
  const k = products.reduce((best, p, i) => (Math.abs(p) > Math.abs(products[best]) ? i : best), 0)
  return {layer: from, map, row: top + Math.floor(k / width), column: left + (k % width)}
}

function sumView(made, actions, all, redraw) {
  const {layer, terms, sum, bias, before, relu, silent} = made
  const sorted = [...terms].sort((a, b) => Math.abs(b.sum) - Math.abs(a.sum))
  const single = terms[0].values.length === 1
  const count = all ? sorted.length : Math.min(single ? 10 : FIRST, sorted.length)
  const rest = sorted.slice(count)
  const most = size(sorted.map((one) => one.sum))
  const tops = {
    values: size(sorted.map((one) => one.values)),
    weights: size(sorted.map((one) => one.weights)),
    products: size(sorted.map((one) => one.products)),
  }
  const what = single || terms.length === 1 ? "products" : "products, slice by slice,"
  const number = terms.length * terms[0].values.length
  let end = ""
  if (silent) end = " You silenced it: 0."
  else if (relu) end = before > 0 ? " ReLU lets it pass." : " ReLU makes that 0."
  const parts = sorted.slice(0, count).map((one) => {
    const name = one.from === "input" ? "pixels" : `${single ? "number" : "map"} ${one.map}`
    const head = h(
      "div",
      {class: "mc-parthead"},
      button(name, () => actions.choose(strongestOf(one)), {
        title: "Take its part in this apart",
      }),
      balance(one.sum, most),
      h("b", {}, signed(one.sum)),
    )
    if (single)
      return h(
        "li",
        {},
        head,
        h("small", {}, `${decimals(one.values[0])} × weight ${decimals(one.weights[0])}`),
      )
    const at = (k) => ({
      layer: one.from,
      map: one.map,
      row: one.top + Math.floor(k / one.width),
      column: one.left + (k % one.width),
    })
    const sheets = h(
      "div",
      {class: `mc-grids mc-of${one.width}`},
      grid("what it sees", one.values, one.width, tops.values, (k) => actions.choose(at(k))),
      h("span", {class: "mc-op"}, "×"),
      grid("kernel", one.weights, one.width, tops.weights),
      h("span", {class: "mc-op"}, "="),
      grid("products", one.products, one.width, tops.products),
    )
    return h("li", {}, head, sheets)
  })
  const others = rest.reduce((total, one) => total + one.sum, 0)
  return [
    totalLine(
      `${number.toLocaleString("en-US")} ${what} add up to ${decimals(sum)}; with the bias, ` +
        `${signed(bias)}, that's ${decimals(before)}.${end}`,
    ),
    h(
      "h3",
      {},
      single
        ? `The ${terms.length} products, largest first`
        : layer === "fc1"
          ? "What each map of pool2 adds, largest first"
          : terms.length > 1
            ? `The kernel's ${terms.length} slices, largest first`
            : "The kernel",
    ),
    h("ul", {class: "mc-parts"}, ...parts),
    ...restLine(rest, signed(others), button(`Show all ${terms.length}`, redraw)),
    h("div", {class: "mc-rest"}, h("span", {}, "bias"), h("b", {}, signed(bias))),
    h(
      "div",
      {class: "mc-rest mc-sumline"},
      h("span", {}, relu ? "together, before ReLU" : "together"),
      h("b", {}, decimals(before)),
    ),
  ]
}

const rounded = (value) => Number(value.toPrecision(2)).toLocaleString("en-US")

/** What speaks for an answer: the numbers, and the maps that fed them. */
function answerView(made, latest, actions) {
  const {digit, other, numbers, bias, score, maps, fixed} = made
  const loud = numbers.filter((one) => one.product !== 0)
  const pro = loud.filter((one) => one.product > 0)
  const contra = loud.filter((one) => one.product < 0).reverse()
  const add = (list) => list.reduce((sum, one) => sum + one.product, 0)
  const instead = h(
    "select",
    {"aria-label": "Compared with"},
    h("option", {value: ""}, "its score alone"),
    ...Array.from({length: 10}, (_, i) => i)
      .filter((i) => i !== digit)
      .map((i) => h("option", {value: i, selected: i === other}, `against ${i}`)),
  )
  instead.addEventListener("change", () =>
    actions.choose({digit, other: instead.value === "" ? null : Number(instead.value)}),
  )
  const order = latest.logits.map((_, i) => i).sort((a, b) => latest.logits[b] - latest.logits[a])
  const rival = order[0] === digit ? order[1] : order[0]
  const lead =
    other === null
      ? `that's a score of ${decimals(score)}. The ${order[0] === digit ? "runner-up" : "best"}, ` +
        `${rival}, has ${decimals(latest.logits[rival])}.`
      : `${digit} is ahead of ${other} by ${decimals(score)}.`
  const odds =
    other === null || Math.abs(score) > 100
      ? ""
      : ` So it's ${
          score >= 0
            ? `${rounded(Math.exp(score))} times as probable`
            : `${rounded(Math.exp(-score))} times less probable`
        }.`
  const most = size(numbers.map((one) => one.product))
  const row = (one) =>
    h(
      "li",
      {},
      button(`number ${one.number}`, () =>
        actions.choose({layer: "fc1", map: one.number, row: 0, column: 0}),
      ),
      balance(one.product, most),
      h("small", {}, `${decimals(one.value, 2)} × ${decimals(one.weight, 2)}`),
      h("b", {}, signed(one.product, 2)),
    )
  const list = (name, rows, rest) => [
    h("h3", {}, name),
    h("ul", {class: "mc-rows"}, ...rows),
    ...restLine(rest, signed(add(rest), 2)),
  ]
  const fed = maps.filter((one) => one.product !== 0)
  const [best, worst] = [fed.slice(0, 6), fed.slice(-3).filter((one) => one.product < 0)]
  const shown = [...best, ...worst.reverse()]
  const others = add(fed) - add(shown)
  return [
    totalLine(
      `${loud.length} of the 50 numbers speak. ${pro.length} of them speak for it ` +
        `(${signed(add(pro), 2)}), ${contra.length} against it (${signed(add(contra), 2)}); with ` +
        `the bias, ${signed(bias, 2)}, ${lead}${odds}`,
    ),
    h("div", {class: "mc-tools"}, h("label", {}, "Look at ", instead)),
    ...list("For it", pro.slice(0, 6).map(row), pro.slice(6)),
    ...list("Against it", contra.slice(0, 4).map(row), contra.slice(4)),
    h("h3", {}, "And which maps fed them?"),
    h(
      "div",
      {class: "mc-thumbs mc-fed"},
      ...shown.map((one) => {
        const picture = thumbnail("pool2", one.map, latest, null, () =>
          actions.choose({layer: "pool2", map: one.map, ...actions.peak("pool2", one.map)}),
        )
        picture.append(h("b", {}, signed(one.product, 2)))
        return picture
      }),
    ),
    h(
      "p",
      {class: "mc-rest"},
      h("span", {}, `the other ${fed.length - shown.length} maps, and all biases`),
      h("b", {}, signed(others + fixed, 2)),
    ),
    h(
      "p",
      {class: "mc-rest mc-sumline"},
      h("span", {}, "together"),
      h("b", {}, decimals(score, 2)),
    ),
  ]
}
