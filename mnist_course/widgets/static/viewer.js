// Draw a digit and watch every layer: the network runs in the browser, with the weights that it is
// given.

import {Network, readReference, oodScoreOf} from "./cnn.js"
import {h, paint} from "./common.js"
import {areDigits, examine, judge} from "./prepare.js"
import {render as renderPad} from "./pad.js"

const COLUMNS = {conv1: 16, conv2: 16, pool1: 16, conv3: 32, conv4: 32, pool2: 32, fc1: 25}

/** All maps of a layer side by side in one picture, one scale for all of them. */
function mosaic(activation, columns) {
  const [count, height = 1, width = 1] = activation.shape
  const gap = height > 1 ? 1 : 0
  const rows = Math.ceil(count / columns)
  const whole = {height: rows * (height + gap) - gap, width: columns * (width + gap) - gap}
  const values = new Float32Array(whole.height * whole.width)
  let high = 0
  for (let c = 0; c < count; c++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const value = activation.data[(c * height + y) * width + x]
        const row = Math.floor(c / columns) * (height + gap) + y
        values[row * whole.width + (c % columns) * (width + gap) + x] = value
        high = Math.max(high, value)
      }
  return {values, ...whole, high}
}

/** Which map holds the largest sum, in words. */
function strongest(activation) {
  const [count, height = 1, width = 1] = activation.shape
  const area = height * width
  let [best, most] = [0, -1]
  for (let c = 0; c < count; c++) {
    let sum = 0
    for (let i = c * area; i < (c + 1) * area; i++) sum += activation.data[i]
    if (sum > most) [best, most] = [c, sum]
  }
  return most > 0 ? `the strongest is number ${best}` : "all of them silent"
}

export function render({model, el}) {
  const buffer = (name) => {
    const view = model.get(name)
    return view?.byteLength
      ? view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength)
      : null
  }
  const network = new Network(buffer("weights"))
  const reference = readReference(buffer("reference"))
  const side = model.get("side")
  const page = h("canvas", {class: "mc-map", role: "img", style: "max-width: 140px"})
  const pageWords = h("figcaption", {}, "what the network gets")
  const figures = Object.keys(COLUMNS).map((name) => {
    const canvas = h("canvas", {class: "mc-map", role: "img"})
    const words = h("figcaption", {}, name)
    return {name, canvas, words, figure: h("figure", {class: "mc-layer"}, words, canvas)}
  })

  const look = () => {
    const image = model.get("image")
    const bytes = image?.byteLength
      ? new Uint8Array(image.buffer, image.byteOffset, image.byteLength)
      : new Uint8Array(side * side)
    const start = performance.now()
    const {page: small, seen: remark, halves} = examine(bytes, side, side)
    const seen = network.look(small)
    const milliseconds = performance.now() - start
    paint(page, small, 28, 28, 0, 255)
    page.setAttribute(
      "aria-label",
      "The drawing as the network gets it: 28 x 28 pixels, the digit in the middle",
    )
    for (const {name, canvas, words} of figures) {
      const activation = seen.activations[name]
      const {values, height, width, high} = mosaic(activation, COLUMNS[name])
      paint(canvas, values, height, width, 0, high, 0.5)
      const [count, rows] = activation.shape
      const size = rows ? `${count} maps of ${rows} x ${rows}` : `${count} numbers`
      words.textContent = `${name}: ${size}; ${strongest(activation)}`
      canvas.setAttribute("aria-label", words.textContent)
    }
    model.set("milliseconds", milliseconds)
    const read = (half) => {
      const answer = network.look(half)
      return {probabilities: answer.probabilities, oodScore: oodScoreOf(answer, reference)}
    }
    const told = areDigits(halves, read) ? "two digits" : remark
    model.set(
      "answer",
      image?.byteLength ? judge(seen.probabilities, small, oodScoreOf(seen, reference), told) : {},
    )
    model.save_changes()
  }

  const stop = renderPad({model, el})
  const layers = h(
    "section",
    {class: "mc mc-layers", "aria-label": "What each layer makes of it"},
    h("figure", {class: "mc-layer"}, pageWords, page),
  )
  layers.append(...figures.map((layer) => layer.figure))
  el.append(layers)
  model.on("change:image", look)
  look()
  return () => {
    stop()
    model.off("change:image", look)
  }
}

export default {render}
