// The kernels of conv1, as they are now, and one weight under the magnifying glass.

import {h, uniqueId} from "./common.js"

const SHOWN = {
  weights: "the weights",
  grads: "their gradients, of the last batch",
  velocity: "their velocity, which momentum keeps",
}
const NAMES = {weight: ["to map", "from map", "row", "column"], bias: ["of map"]}

/** "0.0123": three digits that count, and a true minus. */
export function short(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : "infinite"
  const size = Math.abs(value)
  const text =
    size !== 0 && (size >= 10000 || size < 1e-4)
      ? value.toExponential(2)
      : `${Number(value.toPrecision(3))}`
  return text.replace("-", "−")
}

/** One value between -1 and 1 as a color: blue below, orange above, paper in between. */
function color(share) {
  const t = Math.min(1, Math.abs(share)) ** 0.7
  const [r, g, b] = share < 0 ? [0, 90, 178] : [214, 94, 0]
  return [255 - t * (255 - r), 255 - t * (255 - g), 255 - t * (255 - b)]
}

/**
 * The view: its elements, `show(state)` with the run's numbers, and `onnudge(index)`, which is
 * called when somebody wants a gradient checked.
 */
export function weightView({onnudge}) {
  let state = null // {layers, weights, grads, velocity, lr, step}
  let layer = 0
  let place = [0, 0, 2, 2]
  let told = null // what a nudge said, and of which weight at which step
  const kernels = h("div", {
    ...{class: "mc-kernels", tabindex: 0, role: "application"},
    "aria-label":
      "The kernels of conv1. Arrow keys go from weight to weight, Page Up and Page " +
      "Down from kernel to kernel.",
  })
  const legend = h("p", {class: "mc-note"})
  const what = h(
    "select",
    {onchange: () => paint()},
    ...Object.entries(SHOWN).map(([value, words]) => h("option", {value}, words)),
  )
  const which = h("select", {
    onchange: () => {
      layer = which.selectedIndex
      place = state.layers[layer].shape.map(() => 0)
      told = null
      fields()
      paint()
    },
  })
  const numbers = h("span", {class: "mc-places"})
  const facts = h("dl", {class: "mc-facts"})
  const verdict = h("p", {class: "mc-note mc-verdict"})
  const check = h(
    "button",
    {type: "button", onclick: () => onnudge(index())},
    "Check the gradient: nudge this weight",
  )
  let canvases = []

  const index = () => {
    const {shape, from} = state.layers[layer]
    return from + shape.reduce((at, n, i) => at * n + place[i], 0)
  }

  /** A number field for each dimension of the layer. */
  const fields = () => {
    const {name, shape} = state.layers[layer]
    which.selectedIndex = layer
    const kinds =
      name === "fc.weight"
        ? ["to digit", "from number"]
        : name === "fc.bias"
          ? ["of digit"]
          : NAMES[name.split(".")[1]]
    numbers.replaceChildren(
      ...shape.map((n, i) => {
        const field = h("input", {
          ...{type: "number", min: 0, max: n - 1, step: 1, value: place[i]},
          disabled: n === 1,
          oninput: () => {
            const value = Number(field.value)
            if (field.value === "" || !Number.isInteger(value) || value < 0 || value >= n) {
              field.setAttribute("aria-invalid", "true")
              return
            }
            field.removeAttribute("aria-invalid")
            place[i] = value
            told = null
            paint()
          },
        })
        return h("label", {}, `${kinds[i]} `, field)
      }),
    )
  }

  const choose = (kernel, row, column) => {
    layer = 0
    place = [kernel, 0, row, column]
    told = null
    fields()
    paint()
  }

  kernels.addEventListener("keydown", (event) => {
    if (!state || event.altKey || event.ctrlKey || event.metaKey) return
    const count = state.layers[0].shape[0]
    let [kernel, , row, column] = layer === 0 ? place : [0, 0, 0, 0]
    if (event.key === "ArrowLeft") column -= 1
    else if (event.key === "ArrowRight") column += 1
    else if (event.key === "ArrowUp") row -= 1
    else if (event.key === "ArrowDown") row += 1
    else if (event.key === "PageUp") kernel -= 1
    else if (event.key === "PageDown") kernel += 1
    else return
    event.preventDefault()
    event.stopPropagation()
    const within = (value, most) => Math.min(Math.max(value, 0), most)
    choose(within(kernel, count - 1), within(row, 4), within(column, 4))
  })

  const lay = () => {
    canvases = Array.from({length: state.layers[0].shape[0]}, (_, kernel) => {
      const canvas = h("canvas", {width: 5, height: 5, class: "mc-kernel", "aria-hidden": "true"})
      const spot = h("span", {class: "mc-here", hidden: true})
      const box = h("span", {class: "mc-kernel-box"}, canvas, spot)
      box.addEventListener("click", (event) => {
        const {left, top, width, height} = canvas.getBoundingClientRect()
        const cell = (at, size) => Math.min(4, Math.max(0, Math.floor((5 * at) / size)))
        choose(kernel, cell(event.clientY - top, height), cell(event.clientX - left, width))
      })
      return {canvas, spot, box}
    })
    kernels.replaceChildren(...canvases.map(({box}) => box))
    which.replaceChildren(...state.layers.map(({name}) => h("option", {}, name)))
    if (layer === 0 && place[0] >= canvases.length) place = [0, 0, 2, 2]
    if (layer > 0) place = state.layers[layer].shape.map(() => 0)
    fields()
  }

  const paint = () => {
    if (!state) return
    const all = state[what.value]
    const first = state.layers[0]
    const part = all.subarray(first.from, first.from + first.size)
    let most = 0
    for (const value of part) if (Math.abs(value) > most) most = Math.abs(value)
    canvases.forEach(({canvas, spot}, kernel) => {
      const context = canvas.getContext("2d")
      const picture = context.createImageData(5, 5)
      for (let i = 0; i < 25; i++) {
        const [r, g, b] = color(most > 0 ? part[25 * kernel + i] / most : 0)
        picture.data.set([r, g, b, 255], 4 * i)
      }
      context.putImageData(picture, 0, 0)
      spot.hidden = layer !== 0 || place[0] !== kernel
      spot.style.left = `${20 * place[3]}%`
      spot.style.top = `${20 * place[2]}%`
    })
    const deepest = short(most)
    legend.textContent = `Blue is below zero, orange above; the deepest color is ${deepest}.`
    const at = index()
    const {name} = state.layers[layer]
    const [weight, grad, velocity] = [state.weights[at], state.grads[at], state.velocity[at]]
    const rows = [
      [`${name}[${place.join(", ")}]`, short(weight)],
      ["its gradient, last batch", state.step ? short(grad) : "none yet"],
      ["its velocity", state.step ? short(velocity) : "none yet"],
      [
        "what the last step did",
        state.step
          ? `${short(-state.lr * velocity)}: minus ${short(state.lr)} times the velocity`
          : "nothing yet",
      ],
    ]
    facts.replaceChildren(...rows.flatMap(([key, value]) => [h("dt", {}, key), h("dd", {}, value)]))
    check.disabled = !state.step || state.going || state.diverged
    if (told?.step === state.step && told.index === at) {
      const near = Math.abs(told.slope - grad) <= 1e-5 + 0.01 * Math.abs(grad)
      const sum = state.bugs.includes("no zero_grad")
        ? "it holds the sum of all batches so far. That's the bug you switched on"
        : "a corner of ReLU or of a pool lies in between"
      const up = `Moved up by ${told.by}, the batch's loss is ${told.high.toFixed(7)};`
      const down = `moved down, ${told.low.toFixed(7)}. That's a slope of ${short(told.slope)}.`
      const says = `The gradient says ${short(grad)}: ${near ? "they agree" : sum}.`
      verdict.textContent = `${up} ${down} ${says}`
    } else
      verdict.textContent = !state.step
        ? "Train a batch, and every weight gets a gradient."
        : state.going
          ? "Pause, and you can check a gradient by hand."
          : grad === 0
            ? "Zero: for this batch, the loss doesn't care about this weight."
            : `Raise this weight a little, and the loss of that batch ${
                grad > 0 ? "rises" : "falls"
              }. So SGD pushes it ${grad > 0 ? "down" : "up"}.`
  }

  const id = uniqueId("weights")
  const element = h(
    "section",
    {class: "mc-weights", "aria-labelledby": id},
    h("h2", {id}, "What is it learning?"),
    h("label", {}, "Kernels of conv1: ", what),
    kernels,
    legend,
    h("div", {class: "mc-pick"}, h("label", {}, "One weight of ", which), numbers),
    facts,
    verdict,
    check,
  )
  return {
    element,
    show(next) {
      const fresh = !state || state.layers !== next.layers
      state = next
      if (fresh) lay()
      paint()
    },
    nudged(answer) {
      told = {...answer, step: state.step}
      paint()
    },
  }
}
