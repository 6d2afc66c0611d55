// A pad, and the whole network alive under it: some maps of each layer, from the pixels to the
// answer, while one draws.

import {startReader} from "./ask.js"
import {h, percent} from "./common.js"
import {render as renderPad} from "./pad.js"
import {PageModel} from "./page_model.js"

const FILES = {weights: "net.f16", reference: "reference.f32"} // beside the page to draw on
const STAGES = [
  {name: "pixels", of: "28 x 28"},
  {name: "conv1", layer: "conv1"},
  {name: "conv2", layer: "pool1"},
  {name: "conv3", layer: "conv3"},
  {name: "conv4", layer: "pool2"},
]

const bytes = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength)

/** The network's files: over http, or, where a browser reads no files, from a script. */
async function fetchNetwork(here) {
  if (location.protocol !== "file:") {
    const parts = Object.entries(FILES).map(async ([name, file]) => {
      const answer = await fetch(new URL(`../try/${file}`, here))
      if (!answer.ok) throw new Error(`${file}: ${answer.status}`)
      return [name, await answer.arrayBuffer()]
    })
    return Object.fromEntries(await Promise.all(parts))
  }
  await new Promise((resolve, reject) => {
    const script = h("script", {src: `${here}file/network.js`})
    script.onload = resolve
    script.onerror = () => reject(new Error("file/network.js"))
    document.head.append(script)
  })
  const raw = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer
  return Object.fromEntries(
    Object.keys(FILES).map((name) => [name, raw(globalThis.mnistCourse.network[name])]),
  )
}

/** Some maps of a layer side by side, in one picture with a gap of one pixel between them. */
export function mosaic({data, shape}, channels) {
  const [, height, width] = shape
  const across = Math.round(Math.sqrt(channels.length))
  const side = across * (width + 1) - 1
  const tall = across * (height + 1) - 1
  const values = new Float32Array(tall * side).fill(Number.NaN) // the gaps
  let most = 0
  channels.forEach((channel, i) => {
    const [top, left] = [Math.floor(i / across) * (height + 1), (i % across) * (width + 1)]
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const value = data[(channel * height + y) * width + x]
        values[(top + y) * side + left + x] = value
        most = Math.max(most, value)
      }
  })
  return {values, width: side, height: tall, most}
}

export function render({model, el}) {
  const {here, first, channels, links = {}} = model.state
  const led = (name) => new URL(`../${links[name]}`, here).href
  const side = 280
  const samples = model.get("samples")
  const inner = new PageModel({side, image: null, samples, answer: {}, can_keep: false})

  // ---- the strip under the pad
  const stages = STAGES.map(({name, layer, of}) => {
    const canvas = h("canvas", {class: "ml-eye", role: "img"})
    const count = layer ? `${channels[layer].length} of ${first.maps[layer].count}` : of
    const label = links[name] ? h("a", {href: led(name)}, name) : h("span", {}, name)
    const figure = h(
      "figure",
      {class: `ml-stage ml-stage-${name}`},
      canvas,
      h("figcaption", {}, label, h("small", {}, count)),
    )
    return {name, layer, canvas, figure}
  })
  const best = h("span", {class: "ml-said"})
  const rest = h("small", {})
  const answerLabel = links.answer ? h("a", {href: led("answer")}, "answer") : "answer"
  const strip = h(
    "div",
    {class: "ml-strip", role: "group", "aria-label": "The network, layer by layer"},
    ...stages.map(({figure}) => figure),
    h("figure", {class: "ml-stage ml-stage-answer"}, best, h("figcaption", {}, answerLabel, rest)),
  )

  const paint = (canvas, {values, width, height, most}, isPixels) => {
    if (canvas.width !== width) canvas.width = width
    if (canvas.height !== height) canvas.height = height
    const context = canvas.getContext("2d")
    const picture = context.createImageData(width, height)
    const [red, green, blue] = isPixels
      ? [255, 255, 255]
      : (getComputedStyle(canvas).color.match(/[\d.]+/g) ?? []).map(Number)
    for (let i = 0; i < values.length; i++) {
      if (Number.isNaN(values[i])) continue // a gap shows the page
      const share = most > 0 ? Math.max(values[i], 0) / most : 0
      const alpha = isPixels ? 255 : 255 * (0.06 + 0.94 * Math.sqrt(share))
      const light = isPixels ? share : 1
      picture.data.set([red * light, green * light, blue * light, alpha], 4 * i)
    }
    context.putImageData(picture, 0, 0)
  }

  let shown = null
  const show = (seen) => {
    shown = seen
    for (const {name, layer, canvas} of stages) {
      if (!layer) {
        paint(canvas, {values: seen.page, width: 28, height: 28, most: 255}, true)
        canvas.setAttribute("aria-label", "The digit as the network gets it: 28 x 28 pixels")
        continue
      }
      const picture = mosaic(seen.activations[layer], seen.picked?.[layer] ?? channels[layer])
      paint(canvas, picture, false)
      const lit = picture.values.reduce((sum, value) => sum + (value > 0 ? 1 : 0), 0)
      const all = picture.values.reduce((sum, value) => sum + (Number.isNaN(value) ? 0 : 1), 0)
      canvas.setAttribute(
        "aria-label",
        `${channels[layer].length} maps of ${name}: ${Math.round((100 * lit) / all)}% of their ` +
          "numbers are above 0",
      )
    }
    const {label, probability, is_digit: sure} = seen.answer ?? {}
    best.textContent = label === undefined ? "–" : sure ? `${label}` : `${label}?`
    rest.textContent = label === undefined ? "nothing yet" : percent(probability)
  }

  // ---- the network, fetched when somebody comes near the pad
  const {ask, apart, end} = startReader()
  let coming = false
  let ready = false
  let looking = false
  let again = false // there's more ink than when it began to look

  const look = async () => {
    const image = inner.get("image")
    again = looking
    if (!ready || !image || looking) return
    looking = true
    const seen = await ask("look", {image: bytes(image), side})
    looking = false
    if (seen.blank) {
      for (const {data} of Object.values(seen.activations)) data.fill(0)
      seen.answer = {}
    } else el.closest("[data-live]")?.setAttribute("data-seen", "") // the first answer has come
    show(seen)
    inner.set("answer", seen.answer)
    if (again) look()
  }
  const come = async () => {
    if (coming) return
    coming = true
    try {
      await ask("load", await fetchNetwork(here))
      ready = true
      look()
    } catch (error) {
      coming = false // the next stroke asks again
      inner.set("answer", {message: `The network could not be fetched (${error.message}).`})
    }
  }

  // somebody who clicks at once shouldn't wait for this
  const warming = setTimeout(() => coming || !apart() || ask("warm"), 1000)

  const glance = h("div", {class: "mc ml-glance"})
  const hint = h("span", {class: "ml-hint", "aria-hidden": "true"}, "draw your own here")
  let fresh = true // does the digit of the beginning still stand there?
  const begin = (event) => {
    if (!fresh || event.target.tagName !== "CANVAS" || !event.target.matches(".mc-canvas")) return
    if (event.type === "keydown" && ![" ", "Enter"].includes(event.key)) return
    fresh = false
    hint.remove()
    const context = event.target.getContext("2d")
    context.fillStyle = "#000"
    context.fillRect(0, 0, event.target.width, event.target.height)
  }
  // before the pad's own listeners: the first stroke begins on empty paper
  for (const name of ["pointerdown", "keydown"]) glance.addEventListener(name, begin, true)
  const stop = renderPad({model: inner, el: glance})
  glance.querySelector(".mc-canvas").after(hint)
  glance.querySelector("details.mc-help")?.removeAttribute("open")
  glance.append(strip)
  el.append(glance)
  for (const name of ["pointerenter", "pointerdown", "focusin"])
    glance.addEventListener(name, come, {once: true})
  inner.on("change:image", () => {
    fresh = false
    hint.remove()
    come()
    if (!ready && !inner.get("answer")?.label)
      inner.set("answer", {message: "Fetching the network ..."})
    look()
  })

  // ---- before anybody has drawn: a digit that was looked at when the page was made
  const raw = bytes(first.page)
  const activations = {}
  const picked = {}
  for (const [layer, {maps, size, count, top}] of Object.entries(first.maps)) {
    const data = Float32Array.from(bytes(maps), (byte) => (byte * top) / 255)
    activations[layer] = {data, shape: [count, size, size]}
    picked[layer] = channels[layer].map((_, i) => i)
  }
  show({page: raw, activations, picked, answer: first.answer})
  inner.set("answer", first.answer)
  lay(glance.querySelector("canvas"), raw)

  // the maps' colour follows the page's light
  const repaint = () => shown && show(shown)
  const watcher = new MutationObserver(repaint)
  for (const place of [document.documentElement, document.body])
    watcher.observe(place, {attributes: true, attributeFilter: ["class", "data-bs-theme"]})
  const dark = matchMedia("(prefers-color-scheme: dark)")
  dark.addEventListener("change", repaint)
  return () => {
    stop()
    clearTimeout(warming)
    end()
    watcher.disconnect()
    dark.removeEventListener("change", repaint)
  }
}

/** A picture of 28 x 28 on the pad's paper, smooth as a drawing. */
function lay(canvas, raw) {
  const small = h("canvas", {width: 28, height: 28})
  const brush = small.getContext("2d")
  const picture = brush.createImageData(28, 28)
  for (let i = 0; i < 784; i++) picture.data.set([raw[i], raw[i], raw[i], 255], 4 * i)
  brush.putImageData(picture, 0, 0)
  canvas.getContext("2d").drawImage(small, 0, 0, canvas.width, canvas.height)
}
