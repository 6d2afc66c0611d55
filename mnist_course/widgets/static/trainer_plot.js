// The original script's 2 x 2 grid, for one run that grows or for several, one over another.

const PANELS = [
  {part: "train", value: "loss", title: "Training loss"},
  {part: "test", value: "loss", title: "Test loss"},
  {part: "train", value: "acc", title: "Training accuracy"},
  {part: "test", value: "acc", title: "Test accuracy"},
]
const BOX = {left: 38, right: 22, top: 26, bottom: 26}
const DASHES = ["", "7 3", "2 3", "9 3 2 3", "12 4", "4 2"]

/** An element of a drawing. */
function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.append(...children)
  return element
}

/** What a mark says of one panel, or nothing. */
function valueIn(mark, {part, value}) {
  const known = part === "train" ? mark.part : mark.test
  return known ? known[value] : Number.NaN
}

/** Where the losses' axis ends: at a round number above all that is finite, at most at 10. */
function lossTop(runs) {
  let most = 0.5
  for (const {marks} of runs)
    for (const mark of marks)
      for (const panel of PANELS.slice(0, 2)) {
        const value = valueIn(mark, panel)
        if (Number.isFinite(value)) most = Math.max(most, value)
      }
  return [0.5, 1, 2, 2.5, 5, 10].find((top) => most <= top) ?? 10
}

/** A grid of four panels: the element, and a function that draws runs into it. */
export function lossGrid() {
  const element = svg("svg", {
    class: "mc-curves",
    role: "img",
  })
  let epochs = 10
  let width = 320 // of a panel, in the page's pixels: letters stay legible on a phone
  let height = 190

  const panel = (spec, number, runs, top) => {
    const isLoss = spec.value === "loss"
    const high = isLoss ? top : 1
    const right = width - BOX.right
    const bottom = height - BOX.bottom
    const x = (epoch) => BOX.left + ((right - BOX.left) * epoch) / epochs
    const y = (value) => bottom - ((bottom - BOX.top) * Math.min(value, high)) / high
    const group = svg("g", {
      transform: `translate(${(number % 2) * width} ${number > 1 ? height : 0})`,
    })
    const title = svg("text", {x: BOX.left, y: 15, class: "mc-title"})
    title.textContent = spec.title
    group.append(title)
    for (let i = 0; i <= 4; i++) {
      const value = (high * i) / 4
      const line = {x1: BOX.left, x2: right, y1: y(value), y2: y(value)}
      group.append(svg("line", {...line, class: i ? "mc-rule" : "mc-axis"}))
      if (i % 2) continue
      const label = svg("text", {x: BOX.left - 5, y: y(value) + 4, class: "mc-tick mc-end"})
      label.textContent = isLoss ? `${value}` : `${100 * value}%`
      group.append(label)
    }
    const every = Math.ceil(epochs / (width > 250 ? 5 : 2))
    for (let epoch = 0; epoch <= epochs; epoch += every) {
      const label = svg("text", {x: x(epoch), y: bottom + 15, class: "mc-tick mc-middle"})
      label.textContent = epoch + every > epochs ? `epoch ${epoch}` : `${epoch}`
      group.append(label)
    }
    if (!isLoss) {
      // what guessing gives: the line to beat
      group.append(
        svg("line", {x1: BOX.left, x2: right, y1: y(0.1), y2: y(0.1), class: "mc-chance"}),
      )
      if (number === 3) {
        const label = svg("text", {x: right - 2, y: y(0.1) - 4, class: "mc-tick mc-end"})
        label.textContent = "guessing: 10%"
        group.append(label)
      }
    }
    for (const run of runs) {
      const points = run.marks
        .map((mark) => ({mark, value: valueIn(mark, spec)}))
        .filter(({value}) => Number.isFinite(value))
      if (!points.length) continue
      const place = ({mark, value}) =>
        `${x(mark.step / run.stepsPerEpoch).toFixed(1)},${y(value).toFixed(1)}`
      const style = `mc-run mc-run-${run.number % 6}${run.current ? " mc-current" : ""}`
      group.append(
        svg("polyline", {
          points: points.map(place).join(" "),
          class: style,
          "stroke-dasharray": DASHES[run.number % 6],
        }),
      )
      const last = points[points.length - 1]
      const [cx, cy] = place(last).split(",").map(Number)
      group.append(svg("circle", {cx, cy, r: run.current ? 3.5 : 2.5, class: style}))
      const tall = last.value > high
      const name = svg("text", {x: cx + 6, y: cy + 4, class: `mc-tag ${style}`})
      name.textContent = `${runs.length > 1 ? run.number + 1 : ""}${tall ? "↑" : ""}`
      group.append(name)
    }
    return group
  }

  const draw = (runs, words) => {
    epochs = Math.max(1, ...runs.map((run) => run.epochs))
    const top = lossTop(runs)
    width = Math.max(140, (element.clientWidth || 640) / 2)
    height = Math.min(260, Math.max(140, 0.66 * width))
    element.setAttribute("viewBox", `0 0 ${2 * width} ${2 * height}`)
    element.replaceChildren(...PANELS.map((spec, number) => panel(spec, number, runs, top)))
    element.setAttribute("aria-label", words)
  }
  return {element, draw}
}

/** The stroke that stands for a run, for its row in a table. */
export function sampleStroke(number) {
  return svg(
    "svg",
    {viewBox: "0 0 40 12", class: "mc-stroke", "aria-hidden": "true"},
    svg("line", {
      ...{x1: 1, x2: 39, y1: 6, y2: 6},
      class: `mc-run mc-run-${number % 6} mc-current`,
      "stroke-dasharray": DASHES[number % 6],
    }),
  )
}
