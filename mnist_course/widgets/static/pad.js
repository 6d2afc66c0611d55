// A pad to draw a digit on: by mouse, by touch, by pen, or by the arrow keys. It sends what is
// drawn, and shows the answer.

import {h, liveRegion, percent, uniqueId} from "./common.js"

const PENS = {thin: 12, medium: 20, thick: 30} // pixels of a pad that is 280 wide
const EVERY = 100 // milliseconds between two messages while a stroke is drawn
const HOW =
  "Draw a digit with mouse, finger or pen. With the keyboard: arrow keys move the pen, " +
  "with Shift by a large step; Space puts it down or lifts it."

/** Ten bars, one a digit, as a list that can be read aloud. */
function bars() {
  const rows = Array.from({length: 10}, (_, digit) => {
    const fill = h("span", {class: "mc-fill"})
    const share = h("span", {class: "mc-share"}, "")
    return {
      fill,
      share,
      row: h(
        "li",
        {},
        h("span", {class: "mc-digit"}, `${digit}`),
        h("span", {class: "mc-bar", "aria-hidden": "true"}, fill),
        share,
      ),
    }
  })
  const list = h(
    "ul",
    {class: "mc-bars", "aria-label": "How probable each digit is"},
    ...rows.map((row) => row.row),
  )
  const show = (answer) =>
    rows.forEach(({fill, share, row}, digit) => {
      const probability = answer?.probabilities?.[digit]
      fill.style.width = `${100 * (probability ?? 0)}%`
      share.textContent = probability === undefined ? "" : percent(probability)
      row.classList.toggle("mc-best", probability !== undefined && answer.label === digit)
    })
  return {list, show}
}

export function render({model, el}) {
  const side = model.get("side")
  const canvas = h("canvas", {
    width: side,
    height: side,
    class: "mc-canvas",
    tabindex: 0,
    role: "application",
    "aria-label": "Pad to draw a digit on",
  })
  const help = h("p", {class: "mc-help", id: uniqueId("help")}, HOW)
  canvas.setAttribute("aria-describedby", help.id)
  const cursor = h("span", {class: "mc-cursor", hidden: true, "aria-hidden": "true"})
  const context = canvas.getContext("2d", {willReadFrequently: true})
  const said = liveRegion()
  const {list, show} = bars()
  const steps = [] // pictures before each stroke, for undo
  let at = {x: side / 2, y: side / 2} // of the keyboard's pen
  let down = false // is the keyboard's pen on the paper?
  let stroke = null // the pointer that draws, and where it was last
  let mine = null // the picture as we sent it last
  let sent = 0
  let waiting = null

  const clear = () => {
    context.fillStyle = "#000"
    context.fillRect(0, 0, side, side)
  }

  const send = () => {
    clearTimeout(waiting)
    waiting = null
    sent = performance.now()
    const pixels = context.getImageData(0, 0, side, side).data
    const bytes = new Uint8Array(side * side)
    for (let i = 0; i < bytes.length; i++) bytes[i] = pixels[4 * i]
    mine = new DataView(bytes.buffer)
    model.set("image", mine)
    model.save_changes()
  }

  const sendSoon = () => {
    if (waiting === null) waiting = setTimeout(send, Math.max(0, sent + EVERY - performance.now()))
  }

  const remember = () => {
    steps.push(context.getImageData(0, 0, side, side))
    if (steps.length > 30) steps.shift()
    undo.disabled = false
  }

  const line = (from, to) => {
    context.strokeStyle = "#fff"
    context.lineCap = context.lineJoin = "round"
    context.lineWidth = (PENS[pen.value] * side) / 280
    context.beginPath()
    context.moveTo(from.x, from.y)
    context.lineTo(to.x, to.y)
    context.stroke()
    sendSoon()
  }

  const place = (event) => {
    const box = canvas.getBoundingClientRect()
    return {
      x: ((event.clientX - box.left) * side) / box.width,
      y: ((event.clientY - box.top) * side) / box.height,
    }
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (stroke || (event.pointerType === "mouse" && event.button !== 0)) return
    event.preventDefault()
    canvas.focus({preventScroll: true})
    canvas.setPointerCapture?.(event.pointerId)
    remember()
    stroke = {id: event.pointerId, last: place(event)}
    line(stroke.last, stroke.last)
  })
  canvas.addEventListener("pointermove", (event) => {
    if (stroke?.id !== event.pointerId) return
    const parts = event.getCoalescedEvents?.() ?? []
    for (const part of parts.length ? parts : [event]) {
      const next = place(part)
      line(stroke.last, next)
      stroke.last = next
    }
  })
  for (const name of ["pointerup", "pointercancel"])
    canvas.addEventListener(name, (event) => {
      if (stroke?.id !== event.pointerId) return
      stroke = null
      send()
    })

  const showCursor = (seen) => {
    cursor.hidden = !seen
    cursor.style.left = `${(100 * at.x) / side}%`
    cursor.style.top = `${(100 * at.y) / side}%`
    cursor.classList.toggle("mc-down", down)
  }
  const MOVES = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}
  canvas.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return
    if (event.key === " " || event.key === "Enter") {
      down = !down
      if (down) {
        remember()
        line(at, at)
      }
      said.textContent = down ? "Pen down." : "Pen up."
    } else if (event.key in MOVES) {
      const [dx, dy] = MOVES[event.key]
      const length = (event.shiftKey ? 5 : 1) * (side / 28)
      const next = {
        x: Math.min(Math.max(at.x + dx * length, 0), side),
        y: Math.min(Math.max(at.y + dy * length, 0), side),
      }
      if (down) line(at, next)
      at = next
    } else return
    event.preventDefault()
    event.stopPropagation() // JupyterLab has plans of its own for these keys
    showCursor(true)
  })
  canvas.addEventListener("blur", () => {
    down = false
    showCursor(false)
  })

  const button = (words, action) =>
    h("button", {type: "button", class: "mc-button", onclick: action}, words)
  const undo = button("Undo", () => {
    const before = steps.pop()
    if (before) context.putImageData(before, 0, 0)
    undo.disabled = !steps.length
    send()
  })
  undo.disabled = true
  const wipe = button("Clear", () => {
    remember()
    clear()
    send()
  })
  let next = 0
  const sample = button("A sample digit", () => {
    const samples = model.get("samples")
    const count = samples.byteLength / 784
    const small = h("canvas", {width: 28, height: 28})
    const brush = small.getContext("2d")
    const picture = brush.createImageData(28, 28)
    for (let i = 0; i < 784; i++) {
      const value = samples.getUint8((next % count) * 784 + i)
      picture.data.set([value, value, value, 255], 4 * i)
    }
    next += 1
    brush.putImageData(picture, 0, 0)
    remember()
    context.drawImage(small, 0, 0, side, side)
    send()
  })
  if (!model.get("samples")?.byteLength) sample.hidden = true
  const pen = h(
    "select",
    {"aria-label": "Width of the pen"},
    ...Object.keys(PENS).map((name) =>
      h("option", {value: name, selected: name === "medium"}, name),
    ),
  )
  const tools = h(
    "div",
    {class: "mc-tools", role: "group", "aria-label": "Tools"},
    wipe,
    undo,
    sample,
    h("label", {}, "Pen ", pen),
  )

  const keep = h("div", {class: "mc-tools", role: "group", "aria-label": "Keep this drawing"})
  if (model.get("can_keep")) {
    const digit = h(
      "select",
      {"aria-label": "Which digit did you draw?"},
      ...Array.from({length: 10}, (_, i) => h("option", {value: i}, `${i}`)),
    )
    keep.append(
      h("label", {}, "This is a ", digit),
      button("Keep", () => {
        send()
        model.set("kept", {
          label: Number(digit.value),
          number: (model.get("kept")?.number ?? 0) + 1,
        })
        model.save_changes()
      }),
    )
  }

  const answered = () => {
    const answer = model.get("answer")
    show(answer)
    said.textContent = answer?.message ?? ""
  }
  model.on("change:answer", answered)
  clear()
  const lay = () => {
    // a picture that Python laid on the pad, or that was drawn in another view of it
    const picture = model.get("image")
    if (picture === mine || picture?.byteLength !== side * side) return
    const pixels = context.createImageData(side, side)
    for (let i = 0; i < side * side; i++) {
      const value = picture.getUint8(i)
      pixels.data.set([value, value, value, 255], 4 * i)
    }
    context.putImageData(pixels, 0, 0)
  }
  lay()
  model.on("change:image", lay)
  const left = h(
    "div",
    {class: "mc-left"},
    h("div", {class: "mc-paper"}, canvas, cursor),
    tools,
    keep,
  )
  const pad = h(
    "div",
    {class: "mc mc-pad"},
    help,
    h("div", {class: "mc-row"}, left, h("div", {class: "mc-right"}, said, list)),
  )
  el.append(pad)
  answered()
  return () => {
    clearTimeout(waiting)
    model.off("change:answer", answered)
    model.off("change:image", lay)
  }
}

export default {render}
