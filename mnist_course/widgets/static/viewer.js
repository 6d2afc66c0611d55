// Draw a digit and watch every layer. Each number can be taken apart, each map silenced, and the
// network seen as it was while it learned. Everything is computed in the browser, with the weights
// that it's given.

import {fieldOf} from "./anatomy.js"
import {startReader} from "./ask.js"
import {diverging} from "./slide.js"
import {h, paint, percent} from "./common.js"
import {inspect} from "./inspector.js"
import {pad} from "./pad.js"

// maps side by side: where there's room, and on a phone, where a finger must hit one
const COLUMNS = {
  conv1: [16, 8],
  conv2: [16, 8],
  pool1: [16, 8],
  conv3: [32, 16],
  conv4: [32, 16],
  pool2: [32, 16],
  fc1: [25, 10],
}
const ABOUT = {
  conv1: "strokes and edges",
  conv2: "edges put together",
  pool1: "the largest of each 2 x 2",
  conv3: "corners, arcs, ends",
  conv4: "large parts of digits",
  pool2: "the largest of each 2 x 2",
  fc1: "fifty numbers, from all 4,096",
}
const WIDE = 1000 // pixels: from here on there's a column for the parts of a number
const NARROW = 560

/** How all maps of a layer lie side by side in one picture. */
function layout(shape, columns) {
  const [count, height = 1, width = 1] = shape
  const rows = Math.ceil(count / columns)
  return {
    count,
    height,
    width,
    columns,
    stepY: height + 1,
    stepX: width + 1,
    high: rows * (height + 1) - 1,
    wide: columns * (width + 1) - 1,
  }
}

/** All maps of a layer in one picture, one scale for all of them. */
function mosaic(activation, plan) {
  const {count, height, width, columns, stepX, stepY, wide, high} = plan
  const values = new Float32Array(high * wide)
  let most = 0
  for (let c = 0, at = 0; c < count; c++) {
    const top = Math.floor(c / columns) * stepY
    const left = (c % columns) * stepX
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++, at++) {
        const value = activation.data[at]
        values[(top + y) * wide + left + x] = value
        if (value > most) most = value
      }
  }
  return {values, most}
}

/**
 * Which map answers the ink most: the sum of all that's more than at its corner, where there is
 * paper; -1 where all are silent.
 */
export function strongest({shape, data}) {
  const area = data.length / shape[0]
  let [best, most] = [-1, 0]
  for (let c = 0; c < shape[0]; c++) {
    const paper = area > 1 ? data[c * area] : 0
    let sum = 0
    for (let i = c * area; i < (c + 1) * area; i++) sum += Math.max(0, data[i] - paper)
    if (sum > most) [best, most] = [c, sum]
  }
  return best
}

/** Where a map is largest. */
function peak({shape, data}, map) {
  const [, rows = 1, columns = 1] = shape
  const area = rows * columns
  let best = 0
  for (let i = 1; i < area; i++) if (data[map * area + i] > data[map * area + best]) best = i
  return {row: Math.floor(best / columns), column: best % columns}
}

/** One layer: its maps in one picture, and an outline of what a chosen number can see of them. */
function layerView(name, choose) {
  const canvas = h("canvas", {class: "mc-map"})
  const lines = h("canvas", {class: "mc-lines", "aria-hidden": "true"})
  const words = h("span", {})
  const title = h("figcaption", {}, h("strong", {}, name), " ", words)
  const sheet = h(
    "div",
    {class: "mc-maps", tabindex: 0, role: "application", "aria-roledescription": "maps"},
    canvas,
    lines,
  )
  const element = h("figure", {class: "mc-layer", "data-layer": name}, title, sheet)
  let plan = null
  let seen = null
  let outline = null // {top, left, bottom, right} in each map, or one chosen map
  let cursor = 0

  const draw = () => {
    // at the screen's own resolution: a line is a line, however small the maps
    const box = sheet.getBoundingClientRect()
    const ratio = globalThis.devicePixelRatio || 1
    lines.width = Math.round(box.width * ratio)
    lines.height = Math.round(box.height * ratio)
    if (!plan || !outline || !lines.width) return
    const context = lines.getContext("2d")
    const [sx, sy] = [lines.width / plan.wide, lines.height / plan.high]
    const {top, left, bottom, right, map} = outline
    for (let c = 0; c < plan.count; c++) {
      if (map !== undefined && map !== c) continue
      const y = Math.floor(c / plan.columns) * plan.stepY
      const x = (c % plan.columns) * plan.stepX
      const place = [(x + left) * sx, (y + top) * sy]
      const size = [(right - left + 1) * sx, (bottom - top + 1) * sy]
      if (map !== undefined) {
        context.strokeStyle = "#56b4e9"
        context.lineWidth = 2 * ratio
        context.strokeRect(x * sx - 1, y * sy - 1, plan.width * sx + 2, plan.height * sy + 2)
      }
      context.strokeStyle = "#e69f00"
      context.lineWidth = (map === undefined ? 1 : 2) * ratio
      context.strokeRect(...place, ...size)
    }
  }
  const show = (activation, narrow) => {
    seen = activation
    plan = layout(activation.shape, COLUMNS[name][narrow ? 1 : 0])
    const {values, most} = mosaic(activation, plan)
    paint(canvas, values, plan.high, plan.wide, 0, most, 0.5)
    const [count, rows] = activation.shape
    const best = strongest(activation)
    const one = rows ? "map" : "number"
    const loud = best < 0 ? "all of them silent" : `${one} ${best} answers your ink most`
    const size = rows ? `maps of ${rows} × ${rows}` : "numbers"
    words.textContent = `${count} ${size}: ${ABOUT[name]}; ${loud}`
    sheet.setAttribute(
      "aria-label",
      `${name}, ${count} ${one}s, ${loud}. Arrow keys choose one, Enter takes it apart.`,
    )
    draw()
  }
  const show_outline = (box) => {
    outline = box
    element.classList.toggle("mc-chosen", box?.map !== undefined)
    if (box?.map !== undefined) cursor = box.map
    draw()
  }
  sheet.addEventListener("click", (event) => {
    if (!plan) return
    const box = canvas.getBoundingClientRect()
    const x = Math.floor(((event.clientX - box.left) / box.width) * plan.wide)
    const y = Math.floor(((event.clientY - box.top) / box.height) * plan.high)
    const map = Math.floor(y / plan.stepY) * plan.columns + Math.floor(x / plan.stepX)
    if (map < 0 || map >= plan.count) return
    choose({
      layer: name,
      map,
      row: Math.min(Math.max(y % plan.stepY, 0), plan.height - 1),
      column: Math.min(Math.max(x % plan.stepX, 0), plan.width - 1),
    })
  })
  sheet.addEventListener("keydown", (event) => {
    if (!plan || event.altKey || event.ctrlKey || event.metaKey) return
    const moves = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -plan.columns,
      ArrowDown: plan.columns,
      Enter: 0,
      " ": 0,
    }
    const step = moves[event.key]
    if (step === undefined) return
    event.preventDefault()
    event.stopPropagation()
    const next = cursor + step
    if (next < 0 || next >= plan.count) return
    choose({layer: name, map: next, ...peak(seen, next)}, step === 0)
  })
  return {element, show, outline: show_outline, draw}
}

/** The moments of training: a slider, and what the network said of this drawing at each. */
function training(stops, use) {
  const words = h("output", {class: "mc-moment"})
  const slider = h("input", {
    type: "range",
    min: 0,
    max: stops.length - 1,
    step: 1,
    value: stops.length - 1,
    "aria-label": "How long the network has learned",
  })
  const strip = h("ol", {class: "mc-strip"})
  const element = h(
    "section",
    {class: "mc-training", "aria-label": "The network while it learned"},
    h("h2", {}, "How did it learn that?"),
    h("p", {}, "Slide back, and this network reads your drawing as it did when it knew less."),
    slider,
    strip,
    words,
  )
  const reads = ({label, accuracy}) => `${label}: reads ${percent(accuracy, 2)} of the test digits`
  const show = (index, said = {}) => {
    slider.value = index
    words.textContent = reads(stops[index])
    slider.setAttribute("aria-valuetext", words.textContent)
    strip.replaceChildren(
      ...stops.map((one, i) => {
        const answer = said[one.name]
        return h(
          "li",
          {class: i === index ? "mc-now" : null, "aria-current": i === index ? "step" : null},
          h("b", {}, answer ? `${answer.label}` : "·"),
          h("span", {}, answer ? percent(answer.probability) : ""),
          h("small", {}, one.short),
        )
      }),
    )
  }
  slider.addEventListener("input", () => use(Number(slider.value)))
  return {element, show, reads, fault: (text) => (words.textContent = text)}
}

/** What somebody tries: words for each change. */
function editWords({kind, layer, map, kernel}) {
  const one = layer === "fc1" ? "number" : "map"
  return kind === "silence"
    ? `${one} ${map} of ${layer} silent`
    : `kernel ${map} of ${layer} swapped for ${kernel}`
}

/** reader: one that was started before, while the weights were on their way. */
export function render({model, el, reader = startReader()}) {
  const buffer = (name) => {
    const view = model.get(name)
    return view?.byteLength
      ? view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength)
      : null
  }
  const side = model.get("side")
  const stops = model.get("stops") ?? []
  const {ask, end, apart} = reader
  const loaded = new Set([""])
  let latest = null // what the network saw last
  let chosen = null // the number or the answer that is taken apart
  const way = [] // what was taken apart before it
  let edits = []
  let stop = stops.length - 1
  let looking = false
  let again = null // "image" or "network": another look is wanted
  let narrow = false

  // ---- the page

  const drawing = h("div", {class: "mc-drawing"})
  const named = {class: "mc mc-layers", "aria-label": "What each layer makes of it"}
  const network = h("section", named)
  const column = h("div", {class: "mc mc-side"})
  const stage = h("div", {class: "mc-stage"}, drawing, network, column)
  const root = h("div", {class: "mc-explorer"}, stage)
  el.append(root)

  const board = pad({model, el: drawing, why: (digit) => choose({digit, other: null}, true)})
  const field = h("span", {class: "mc-field", hidden: true, "aria-hidden": "true"})
  board.paper.append(field)

  const tried = h("p", {class: "mc-tried"})
  const undoEdit = h("button", {type: "button", class: "mc-button"}, "Undo this")
  const clearEdits = h("button", {type: "button", class: "mc-button"}, "Put everything back")
  const whatIf = h(
    "section",
    {class: "mc-whatif", "aria-label": "What you try", hidden: true},
    tried,
    h("div", {class: "mc-tools"}, undoEdit, clearEdits),
  )
  board.right.append(whatIf)

  const sheet = h("canvas", {class: "mc-map"})
  const sheetField = h("span", {class: "mc-field", hidden: true, "aria-hidden": "true"})
  const page = h(
    "div",
    {class: "mc-page", tabindex: 0, role: "application", "aria-roledescription": "pixels"},
    sheet,
    sheetField,
  )
  page.setAttribute(
    "aria-label",
    "The drawing as the network gets it: 28 x 28 pixels, the digit in the middle. " +
      "Enter takes the middle pixel apart.",
  )
  const hint = h(
    "p",
    {class: "mc-hint"},
    "Press any number, in any map, and it comes apart here. Or press a digit beside its bar: " +
      "what speaks for it?",
  )
  const layers = Object.keys(COLUMNS).map((name) => ({
    name,
    ...layerView(name, (at, enter) => choose(at, enter)),
  }))
  const kernels = h("canvas", {class: "mc-map mc-kernels", "aria-hidden": "true"})
  const kernelWords = h("p", {class: "mc-kernelwords"}, "and the 32 kernels that made them")
  layers[0].element.append(kernelWords, kernels)
  const input = h(
    "figure",
    {class: "mc-layer mc-input"},
    page,
    h("figcaption", {}, h("strong", {}, "pixels"), " 28 × 28: what the network gets"),
  )
  network.append(input, ...layers.map((one) => one.element))
  network.hidden = true

  // before the first stroke there's nothing to see: an invitation stands in its place
  const invitation = h(
    "section",
    {class: "mc mc-invitation", "aria-label": "What there is to see"},
    h("h2", {}, "Draw, and all of it lights up"),
    h(
      "p",
      {},
      "Every layer of the network appears here, with every number that it computes. Press one, " +
        "and it comes apart: what it sees of your drawing, the kernel, the products, their sum. " +
        "Silence a map, swap a kernel, go back to before the network had learned anything.",
    ),
    h("p", {}, "Or begin with one of these:"),
  )
  stage.append(invitation)

  const moment = stops.length ? training(stops, (index) => useStop(index)) : null
  if (moment) {
    moment.show(stop)
    input.append(moment.element)
  }

  const panel = inspect({
    choose: (at) => choose(at),
    back: () => {
      chosen = way.pop() ?? null
      refresh(true)
    },
    close: () => {
      chosen = null
      way.length = 0
      refresh()
    },
    edit: (one) => {
      edits = [...edits, one]
      use()
    },
    peak: (layer, map) => peak(latest.activations[layer], map),
  })

  const samples = model.get("samples")
  const count = (samples?.byteLength ?? 0) / 784
  const digits = Array.from({length: count}, (_, i) => {
    const canvas = h("canvas", {class: "mc-map"})
    const bytes = new Uint8Array(samples.buffer, samples.byteOffset + 784 * i, 784)
    paint(canvas, bytes, 28, 28, 0, 255)
    const name = `Sample digit ${i + 1} of ${count}`
    return h(
      "button",
      {type: "button", "aria-label": name, onclick: () => board.putSample(i)},
      canvas,
    )
  })
  invitation.append(h("div", {class: "mc-digits"}, ...digits))
  invitation.lastElementChild.previousElementSibling.hidden = !count

  // ---- what is taken apart

  const choose = (at, enter = false) => {
    if (!latest || latest.blank) return
    if (chosen && JSON.stringify(chosen) !== JSON.stringify(at)) {
      const step = chosen.layer === at.layer && chosen.map === at.map
      if (!step) way.push(chosen) // a walk over one map is one step back
      if (way.length > 50) way.shift()
    }
    chosen = at
    refresh(enter, true)
  }

  const showField = () => {
    const boxes =
      chosen?.layer === undefined ? [] : [...fieldOf(chosen.layer, chosen.row, chosen.column)]
    const of = (name) => boxes.find((box) => box.layer === name) ?? null
    for (const layer of layers) {
      const own = chosen?.layer === layer.name
      const {row, column: x, map} = chosen ?? {}
      layer.outline(own ? {top: row, bottom: row, left: x, right: x, map} : of(layer.name))
    }
    let box = of("input")
    if (chosen?.layer === "input") {
      const {row, column: x} = chosen
      box = {top: row, bottom: row, left: x, right: x}
    }
    field.hidden = sheetField.hidden = !box
    if (!box) return
    const put = (element, top, left, size, scale) => {
      element.style.top = `${top * scale}%`
      element.style.left = `${left * scale}%`
      element.style.height = `${size[0] * scale}%`
      element.style.width = `${size[1] * scale}%`
    }
    const size = [box.bottom - box.top + 1, box.right - box.left + 1]
    put(sheetField, box.top, box.left, size, 100 / 28)
    const {top, left, step} = latest.place
    // on the drawing the field may reach over the edge: what's beyond it is empty paper
    const from = [top + step * box.top, left + step * box.left].map((value) => Math.max(value, 0))
    const to = [top + step * (box.bottom + 1), left + step * (box.right + 1)].map((value) =>
      Math.min(value, side),
    )
    put(field, from[0], from[1], [to[0] - from[0], to[1] - from[1]], 100 / side)
    field.hidden = to[0] <= from[0] || to[1] <= from[1]
  }

  let asked = 0
  const refresh = async (enter = false, aloud = false) => {
    showField()
    asked += 1
    const number = asked
    hint.hidden = !latest || latest.blank || Boolean(chosen)
    if (!chosen || !latest || latest.blank) {
      panel.hide()
      return
    }
    const made =
      chosen.layer === undefined ? await ask("speakers", chosen) : await ask("takeApart", chosen)
    if (number !== asked) return // something else was chosen meanwhile
    place()
    const text = panel.show(made, latest, way.length > 0)
    if (enter) panel.focus()
    if (aloud) board.say(text)
  }

  /** Beside the maps where there's room, else right below the layer that was pressed. */
  const place = () => {
    const width = root.getBoundingClientRect().width
    if (hint.parentElement !== (width >= WIDE ? column : input))
      if (width >= WIDE) column.prepend(hint)
      else input.append(hint)
    if (width >= WIDE) {
      if (panel.element.parentElement !== column) column.append(panel.element)
      return
    }
    const layer = layers.find((one) => one.name === chosen?.layer)
    const before = layer ? layer.element : chosen?.layer === "input" ? input : null
    const home = before ?? input
    if (home.nextElementSibling !== panel.element) home.after(panel.element)
  }

  // ---- looking

  const showMaps = () => {
    network.hidden = latest.blank
    invitation.hidden = !latest.blank
    hint.hidden = latest.blank || Boolean(chosen)
    if (latest.blank) return
    paint(sheet, latest.page, 28, 28, 0, 255)
    for (const layer of layers) layer.show(latest.activations[layer.name], narrow)
    showField()
  }

  const look = async (what) => {
    if (looking) {
      again = again === "image" ? again : what
      return
    }
    looking = true
    const image = model.get("image")
    const bytes = image?.byteLength
      ? new Uint8Array(image.buffer, image.byteOffset, image.byteLength)
      : new Uint8Array(side * side)
    latest = await ask("look", {image: what === "image" ? bytes : null, side})
    looking = false
    model.set("milliseconds", latest.milliseconds)
    model.set("answer", latest.answer)
    model.save_changes()
    showMaps()
    showTried()
    refresh()
    if (again) {
      const next = again
      again = null
      look(next)
    } else compare()
  }
  let comparing = null
  const compare = () => {
    if (!moment) return
    clearTimeout(comparing)
    // when the stroke rests: this is one look for each moment
    comparing = setTimeout(async () => {
      const {said} = await ask("compare")
      said[stops.at(-1).name] = said[""] // the network itself
      moment.show(stop, said)
    }, 150)
  }
  const onImage = () => look("image")

  // ---- what if, and when

  const showTried = () => {
    whatIf.hidden = edits.length === 0
    const {answer} = latest
    if (!edits.length || !answer.before) {
      tried.textContent = edits.length ? `With ${edits.map(editWords).join(", ")}.` : ""
      return
    }
    const was = answer.before.indexOf(Math.max(...answer.before))
    const [old, now] = [percent(answer.before[was]), percent(answer.probability)]
    const verb = was === answer.label ? "stays" : "becomes"
    tried.textContent =
      `With ${edits.map(editWords).join(", ")}: ${was} (${old}) ${verb} ` +
      `${answer.label} (${now}).`
  }
  const use = async () => {
    const name = stop < 0 || stop === stops.length - 1 ? null : stops[stop].name
    await ask("use", {stop: name, edits})
    kernelsOf()
    await look("network")
    board.say(edits.length ? tried.textContent : model.get("answer")?.message)
  }
  undoEdit.addEventListener("click", () => {
    edits = edits.slice(0, -1)
    use()
  })
  clearEdits.addEventListener("click", () => {
    edits = []
    use()
  })
  let wanted = stop
  const useStop = async (index) => {
    wanted = index
    const {name, load, label} = stops[index]
    if (load && !loaded.has(name)) {
      moment.fault(`${label}: loading ...`)
      try {
        await ask("addStop", {name, weights: await load()})
        loaded.add(name)
      } catch (error) {
        if (wanted === index) {
          moment.show(stop)
          moment.fault(`${label} could not be loaded: ${error.message}`)
        }
        return
      }
    }
    if (wanted !== index) return // the slider went on
    stop = index
    moment.show(stop)
    await use()
    const message = model.get("answer")?.message
    board.say([moment.reads(stops[index]), message].filter(Boolean).join(". "))
  }
  const kernelsOf = async () => {
    const {weight} = await ask("kernels")
    const wide = narrow ? 8 : 16
    const plan = layout([32, 3, 3], wide)
    const high = Math.max(...weight.map(Math.abs))
    kernels.width = plan.wide
    kernels.height = plan.high
    const context = kernels.getContext("2d")
    const picture = context.createImageData(plan.wide, plan.high)
    weight.forEach((value, i) => {
      const [map, y, x] = [Math.floor(i / 9), Math.floor((i % 9) / 3), i % 3]
      const at =
        (Math.floor(map / wide) * plan.stepY + y) * plan.wide + (map % wide) * plan.stepX + x
      picture.data.set([...diverging(value / high), 255], 4 * at)
    })
    context.putImageData(picture, 0, 0)
  }

  // ---- by hand

  kernels.addEventListener("click", (event) => {
    const box = kernels.getBoundingClientRect()
    const wide = narrow ? 8 : 16
    const x = Math.floor(((event.clientX - box.left) / box.width) * wide)
    const y = Math.floor(((event.clientY - box.top) / box.height) * (32 / wide))
    const map = y * wide + x
    if (latest && !latest.blank)
      choose({layer: "conv1", map, ...peak(latest.activations.conv1, map)})
  })
  page.addEventListener("click", (event) => {
    const box = sheet.getBoundingClientRect()
    const at = (value, length) => Math.min(Math.max(Math.floor((28 * value) / length), 0), 27)
    choose({
      layer: "input",
      map: 0,
      row: at(event.clientY - box.top, box.height),
      column: at(event.clientX - box.left, box.width),
    })
  })
  page.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return
    event.preventDefault()
    choose({layer: "input", map: 0, row: 14, column: 14}, true)
  })
  const resized = new ResizeObserver(() => {
    const now = root.getBoundingClientRect().width
    const small = now < NARROW
    root.classList.toggle("mc-narrow", small)
    root.classList.toggle("mc-wide-enough", now >= WIDE)
    if (small !== narrow) {
      narrow = small
      kernelsOf()
      if (latest) showMaps()
    }
    for (const layer of layers) layer.draw()
    place()
  })
  resized.observe(root)

  let warming = null
  let warmed = 0
  const warm = async () => {
    if (latest || looking || !apart() || warmed >= 8) return
    warmed += 1
    await ask("warm")
    warming = setTimeout(warm, 30)
  }

  model.on("change:image", onImage)
  const ready = ask("load", {weights: buffer("weights"), reference: buffer("reference")}).then(
    () => {
      kernelsOf()
      if (model.get("image")?.byteLength) return look("image")
      // Nobody has drawn yet. When the browser has nothing else to do, a look at a stroke that
      // isn't there makes the first real one quicker.
      warming = setTimeout(warm, 0)
    },
  )
  const finish = () => {
    board.stop()
    end()
    clearTimeout(comparing)
    clearTimeout(warming)
    resized.disconnect()
    model.off("change:image", onImage)
  }
  finish.ready = ready // rejected where the weights aren't a network's
  ready.catch((error) => {
    root.replaceChildren(h("p", {class: "mc", role: "alert"}, error.message))
    finish()
  })
  return finish
}

export default {render}
