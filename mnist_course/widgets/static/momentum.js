// A ball in a valley: SGD with momentum, by hand. The numbers are those of torch.optim.SGD.

import {h, liveRegion, uniqueId} from "./common.js"

const SVG = "http://www.w3.org/2000/svg"
const WIDE = 3 // of the picture, from the middle to an edge: x
const TALL = 12 // and y
const LOST = 1e6 // so far away the ball has left for good
const PACE = 90 // milliseconds a step
// as in lesson 07: the valley, where the ball starts, and a first try
const START = {lr: 0.075, momentum: 0.6, steps: 40, start: [2, 10], steep: [25, 1]}
const SETTINGS = Object.keys(START)

/**
 * The places of a ball, (x, y) each, the start included: steps of SGD with momentum on
 * (steep[0] x² + steep[1] y²) / 2.
 */
export function roll({start, steep, lr, momentum, steps}) {
  const places = [[...start]]
  let velocity = [0, 0]
  for (let step = 0; step < steps; step++) {
    const at = places.at(-1)
    velocity = velocity.map((v, i) => momentum * v + steep[i] * at[i])
    places.push(at.map((place, i) => place - lr * velocity[i]))
  }
  return places
}

const distance = ([x, y]) => Math.hypot(x, y)

/** A number with three digits that count, never "0" for something more. */
function short(value) {
  if (value >= 10_000 || (value > 0 && value < 1e-6)) return value.toExponential(1)
  return value.toLocaleString("en-US", {maximumSignificantDigits: 3, useGrouping: false})
}

/** What became of the ball, in a sentence. */
export function told(places) {
  const steps = places.length - 1
  const end = distance(places[steps])
  const lost = places.findIndex((place) => !(distance(place) < LOST))
  if (lost >= 0) return `It has left the valley for good, after ${lost} steps.`
  const near = places.findLastIndex((place) => distance(place) > 0.1) + 1
  const words = `After ${steps} steps it is ${short(end)} from the star`
  return near <= steps ? `${words}; within 0.1 since step ${near}.` : `${words}.`
}

function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.append(...children)
  return element
}

export function render({model, el}) {
  const still = matchMedia("(prefers-reduced-motion: reduce)")
  let timer = null
  let upTo = null // while the ball rolls: the last step that is drawn

  for (const name of SETTINGS) if (model.get(name) === undefined) model.set(name, START[name])
  const settings = () => Object.fromEntries(SETTINGS.map((name) => [name, model.get(name)]))
  const change = (values) => {
    stop()
    for (const [name, value] of Object.entries(values)) model.set(name, value)
    model.save_changes()
  }

  // ---- the valley, from above
  const rings = s("g", {class: "ml-rings"})
  const path = s("polyline", {class: "ml-path"})
  const dots = s("g", {class: "ml-path-dots"})
  const star = s("path", {
    class: "ml-star",
    d: "M0-9 2.6-3 9-2.7 4 1.2 5.8 7.5 0 3.8-5.8 7.5-4 1.2-9-2.7-2.6-3Z",
  })
  const ball = s("circle", {class: "ml-ball", r: 7})
  const begin = s("circle", {class: "ml-begin", r: 9})
  const [half, high] = [190, 190]
  const at = ([x, y]) => [(half * x) / WIDE, (-high * y) / TALL]
  const valley = s(
    "svg",
    {
      class: "ml-valley",
      viewBox: `${-half} ${-high} ${2 * half} ${2 * high}`,
      tabindex: 0,
      role: "application",
      "aria-label": "Valley from above. Arrow keys move the place where the ball starts",
    },
    rings,
    path,
    dots,
    star,
    begin,
    ball,
  )
  const place = (event) => {
    const box = valley.getBoundingClientRect()
    return [
      (((event.clientX - box.left) / box.width) * 2 - 1) * WIDE,
      -(((event.clientY - box.top) / box.height) * 2 - 1) * TALL,
    ]
  }
  const inside = ([x, y]) => [
    Math.min(Math.max(x, -WIDE), WIDE),
    Math.min(Math.max(y, -TALL), TALL),
  ]
  const startAt = (next) => change({start: inside(next).map((number) => Number(number.toFixed(2)))})
  let held = null
  valley.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse" && event.button !== 0) return
    held = event.pointerId
    valley.setPointerCapture?.(held)
    startAt(place(event))
  })
  valley.addEventListener("pointermove", (event) => {
    if (event.pointerId === held) startAt(place(event))
  })
  for (const name of ["pointerup", "pointercancel"])
    valley.addEventListener(name, () => {
      held = null
    })
  const MOVES = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]}
  valley.addEventListener("keydown", (event) => {
    if (!(event.key in MOVES) || event.altKey || event.ctrlKey || event.metaKey) return
    event.preventDefault()
    const [x, y] = model.get("start")
    const far = event.shiftKey ? 5 : 1
    const [dx, dy] = MOVES[event.key]
    startAt([x + 0.1 * far * dx, y + 0.5 * far * dy])
  })

  // ---- the distance from the star, step by step
  const curve = s("polyline", {class: "ml-path"})
  const level = s("line", {class: "ml-level"})
  const scale = s("g", {class: "ml-ticks"})
  const far = s(
    "svg",
    {class: "ml-far", viewBox: "0 0 380 190", role: "img", "aria-label": ""},
    level,
    scale,
    curve,
  )
  const rise = (value) => 20 + 26 * Math.min(Math.max(2 - Math.log10(value), 0), 6) // 100 to 1e-4
  for (const power of [2, 0, -2, -4]) {
    const y = rise(10 ** power)
    const text = s("text", {x: 46, y: y + 5, "text-anchor": "end"})
    text.textContent = power < 0 ? `${10 ** power}` : `${10 ** power}`
    scale.append(s("line", {x1: 52, x2: 372, y1: y, y2: y}), text)
  }
  for (const [name, value] of Object.entries({x1: 52, x2: 372, y1: rise(0.1), y2: rise(0.1)}))
    level.setAttribute(name, value)

  // ---- what can be set
  const slider = (words, name, {min, max, step}) => {
    const field = h("input", {type: "range", min, max, step, id: uniqueId(name)})
    const output = h("output", {for: field.id})
    field.addEventListener("input", () => change({[name]: Number(field.value)}))
    const update = () => {
      const value = model.get(name)
      field.value = value
      output.textContent = `${value}`
    }
    return {element: h("label", {class: "ml-slide"}, h("span", {}, words), field, output), update}
  }
  const rate = slider("learning rate", "lr", {min: 0.005, max: 0.1, step: 0.005})
  const memory = slider("momentum", "momentum", {min: 0, max: 0.95, step: 0.05})
  const steps = slider("steps", "steps", {min: 5, max: 120, step: 5})
  const shapes = {25: "narrow (25 : 1)", 100: "very narrow (100 : 1)", 1: "round (1 : 1)"}
  const shape = h(
    "select",
    {},
    ...Object.entries(shapes).map(([value, words]) => h("option", {value}, words)),
  )
  shape.addEventListener("change", () => change({steep: [Number(shape.value), 1]}))
  const go = h("button", {type: "button", class: "mc-button"}, "Roll")
  go.addEventListener("click", () => (timer === null ? play() : stop()))
  const said = liveRegion()
  const tools = h(
    "div",
    {class: "ml-sliders", role: "group", "aria-label": "Settings"},
    rate.element,
    memory.element,
    steps.element,
    h("label", {class: "ml-slide"}, h("span", {}, "valley"), shape),
  )

  const draw = () => {
    const now = settings()
    const places = roll(now)
    const last = upTo ?? now.steps
    const seen = places
      .slice(0, last + 1)
      .map((one) => at(one).map((number) => Math.min(Math.max(number, -5000), 5000)))
      .filter((one) => one.every(Number.isFinite))
    path.setAttribute("points", seen.join(" "))
    dots.replaceChildren(...seen.map(([cx, cy]) => s("circle", {cx, cy, r: 2.4})))
    const [cx, cy] = seen.at(-1)
    ball.setAttribute("cx", cx)
    ball.setAttribute("cy", cy)
    const [bx, by] = at(now.start)
    begin.setAttribute("cx", bx)
    begin.setAttribute("cy", by)
    const top = (now.steep[0] * WIDE ** 2 + now.steep[1] * TALL ** 2) / 2
    rings.replaceChildren(
      ...Array.from({length: 9}, (_, i) => {
        const loss = top * ((i + 1) / 10) ** 2.2
        const [rx, ry] = now.steep.map((one) => Math.sqrt((2 * loss) / one))
        return s("ellipse", {rx: (half * rx) / WIDE, ry: (high * ry) / TALL})
      }),
    )
    const points = places.slice(0, last + 1).map((one, i) => {
      const away = distance(one)
      return [52 + (320 * i) / now.steps, rise(Number.isFinite(away) ? Math.max(away, 1e-9) : 1e9)]
    })
    curve.setAttribute("points", points.join(" "))
    far.setAttribute("aria-label", `Distance from the star at each step. ${told(places)}`)
    if (upTo === null && said.textContent !== told(places)) said.textContent = told(places)
    for (const one of [rate, memory, steps]) one.update()
    shape.value = `${now.steep[0]}`
  }
  const stop = () => {
    clearInterval(timer)
    timer = null
    upTo = null
    go.textContent = "Roll"
  }
  const play = () => {
    if (still.matches) {
      draw()
      return
    }
    upTo = 0
    go.textContent = "Stop"
    said.textContent = "It rolls ..."
    timer = setInterval(() => {
      upTo += 1
      if (upTo >= model.get("steps")) stop()
      draw()
    }, PACE)
    draw()
  }
  const help = h(
    "p",
    {class: "mc-help"},
    "The valley from above: lines join places with the same loss. Press anywhere to start there.",
  )
  const box = h(
    "div",
    {class: "mc ml-momentum"},
    help,
    h(
      "div",
      {class: "ml-rolls"},
      valley,
      h(
        "div",
        {class: "ml-knobs"},
        tools,
        go,
        said,
        h("p", {class: "ml-axis"}, "distance from the star, step by step"),
        far,
      ),
    ),
  )
  // JupyterLab has plans of its own for arrows
  box.addEventListener("keydown", (event) => event.stopPropagation())
  for (const name of SETTINGS) model.on(`change:${name}`, draw)
  el.append(box)
  draw()
  return () => {
    clearInterval(timer)
    for (const name of SETTINGS) model.off(`change:${name}`, draw)
  }
}

export default {render}
