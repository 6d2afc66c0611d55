// A pad to draw a digit on: by mouse, by touch, by pen, or by the arrow keys. It sends what is
// drawn, and shows the answer.

import {h, liveRegion, percent, uniqueId} from "./common.js"

const PENS = {thin: 12, medium: 20, thick: 30} // pixels of a pad that is 280 wide
const EVERY = 100 // milliseconds between two messages while a stroke is drawn
const KEYS =
  "Arrow keys move the pen, with Shift by a large step; Space puts it down or lifts it. " +
  "Ctrl+Z takes back the last stroke."
const INVITATION = "Draw a digit with mouse, finger or pen."
const PATIENCE = 400 // milliseconds that a lifted pen waits for a new answer before it speaks

/**
 * Ten bars, one a digit, as a list that can be read aloud. why: what a press on a digit does, if
 * anything.
 */
function bars(why) {
  const rows = Array.from({length: 10}, (_, digit) => {
    const fill = h("span", {class: "mc-fill"})
    const was = h("span", {class: "mc-was", hidden: true})
    const share = h("span", {class: "mc-share"}, "")
    const name = h("span", {class: "mc-digit"}, `${digit}`)
    if (why)
      name.replaceChildren(
        h(
          "button",
          {
            type: "button",
            title: `What speaks for ${digit}?`,
            "aria-label": `What speaks for ${digit}`,
            onclick: () => why(digit),
          },
          `${digit}`,
        ),
      )
    const bar = h("span", {class: "mc-bar", "aria-hidden": "true"}, fill, was)
    return {fill, was, share, row: h("li", {}, name, bar, share)}
  })
  const list = h(
    "ul",
    {class: "mc-bars", "aria-label": "How probable each digit is"},
    ...rows.map((row) => row.row),
  )
  const show = (answer) =>
    rows.forEach(({fill, was, share, row}, digit) => {
      // of empty paper a network has probabilities too, and they say nothing
      const probability = answer?.reason === "blank" ? undefined : answer?.probabilities?.[digit]
      const before = answer?.before?.[digit] // without the changes that somebody tries
      fill.style.width = `${100 * (probability ?? 0)}%`
      was.hidden = before === undefined
      was.style.left = `${100 * (before ?? 0)}%`
      share.textContent = probability === undefined ? "" : percent(probability)
      if (before !== undefined && percent(before) !== percent(probability))
        share.prepend(h("span", {class: "mc-before"}, `${percent(before)} → `))
      row.classList.toggle("mc-best", probability !== undefined && answer.label === digit)
    })
  return {list, show}
}

/**
 * The pad. why: what a press on one of the ten digits does. Gives the elements that others put
 * something beside, and `say`, the only way to have something read aloud: the answer and the
 * pen speak through it too.
 */
export function pad({model, el, why = null}) {
  const side = model.get("side")
  const canvas = h("canvas", {
    width: side,
    height: side,
    class: "mc-canvas",
    tabindex: 0,
    role: "application",
    "aria-label": "Pad to draw a digit on",
  })
  const keys = h("span", {id: uniqueId("help")}, KEYS)
  const help = h(
    "details",
    {class: "mc-help", open: !why && !matchMedia("(pointer: coarse)").matches},
    h("summary", {}, "With the keyboard"),
    keys,
  )
  canvas.setAttribute("aria-describedby", keys.id)
  const cursor = h("span", {class: "mc-cursor", hidden: true, "aria-hidden": "true"})
  const context = canvas.getContext("2d", {willReadFrequently: true})
  const said = liveRegion()
  said.classList.add("mc-unseen")
  const seen = h("p", {class: "mc-answer"}, INVITATION)
  const {list, show} = bars(why)
  const steps = [] // pictures before each stroke, for undo
  let at = {x: side / 2, y: side / 2} // of the keyboard's pen
  let down = false // is the keyboard's pen on the paper?
  let stroke = null // the pointer that draws, and where it was last
  let mine = null // the picture as we sent it last
  let sent = 0
  let waiting = null
  let penWords = "" // what the keyboard's pen did last
  let speaking = null

  // The answer and the pen are two facts in one line: whatever changes, the line is made anew.
  const say = (text) => {
    clearTimeout(speaking)
    said.textContent = text
  }
  const tell = () => {
    const message = model.get("answer")?.message ?? ""
    const text = down ? message || penWords : [penWords, message].filter(Boolean).join(" ")
    clearTimeout(speaking)
    // while the keyboard draws, not at every step: when it rests
    if (down) speaking = setTimeout(() => say(text), PATIENCE)
    else say(text)
  }

  const clear = () => {
    context.fillStyle = "#000"
    context.fillRect(0, 0, side, side)
  }

  const send = () => {
    clearTimeout(waiting)
    waiting = null
    mine = new DataView(ink().buffer)
    model.set("image", mine)
    model.save_changes()
    sent = performance.now() // from the end: where a look takes long, strokes get their turn
  }

  const ink = () => {
    const pixels = context.getImageData(0, 0, side, side).data
    const bytes = new Uint8Array(side * side)
    for (let i = 0; i < bytes.length; i++) bytes[i] = pixels[4 * i]
    return bytes
  }

  const sendSoon = () => {
    if (waiting === null) waiting = setTimeout(send, Math.max(0, sent + EVERY - performance.now()))
  }

  let before = null // the picture before the stroke that is being drawn
  const remember = () => {
    before = ink()
  }
  /** What was just done, for Undo, if it changed anything. */
  const settle = () => {
    const now = before && ink()
    if (now && !now.every((value, i) => value === before[i])) {
      steps.push(before)
      if (steps.length > 30) steps.shift()
      undo.disabled = false
    }
    before = null
  }
  const putBack = (bytes) => {
    const pixels = context.createImageData(side, side)
    for (let i = 0; i < side * side; i++)
      pixels.data.set([bytes[i], bytes[i], bytes[i], 255], 4 * i)
    context.putImageData(pixels, 0, 0)
  }

  const line = (from, to) => {
    const width = (PENS[pen.value] * side) / 280
    context.strokeStyle = context.fillStyle = "#fff"
    context.lineCap = context.lineJoin = "round"
    context.lineWidth = width
    context.beginPath()
    if (from.x === to.x && from.y === to.y) {
      // a line of no length isn't drawn: a dot is a disc
      context.arc(to.x, to.y, width / 2, 0, 2 * Math.PI)
      context.fill()
    } else {
      context.moveTo(from.x, from.y)
      context.lineTo(to.x, to.y)
      context.stroke()
    }
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
    if (down) lift()
    penWords = ""
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
      settle()
      send()
    })

  const showCursor = (seen) => {
    cursor.hidden = !seen
    cursor.style.left = `${(100 * at.x) / side}%`
    cursor.style.top = `${(100 * at.y) / side}%`
    cursor.classList.toggle("mc-down", down)
  }
  const lift = () => {
    down = false
    settle()
    showCursor(!cursor.hidden)
  }
  const MOVES = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}
  canvas.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return
    if (event.key === " " || event.key === "Enter") {
      if (down) {
        lift()
        penWords = "Pen up."
        send()
        clearTimeout(speaking) // with the answer, or soon without a new one
        speaking = setTimeout(tell, PATIENCE)
      } else {
        down = true
        penWords = "Pen down."
        remember()
        line(at, at)
        say(penWords)
      }
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
    if (down) lift()
    penWords = ""
    showCursor(false)
  })

  const button = (words, action) =>
    h("button", {type: "button", class: "mc-button", onclick: action}, words)
  const takeBack = () => {
    if (down) lift()
    if (stroke || !steps.length) return
    putBack(steps.pop())
    undo.disabled = !steps.length
    send()
  }
  const undo = button("Undo", takeBack)
  undo.disabled = true
  const wipe = button("Clear", () => {
    remember()
    clear()
    settle()
    send()
  })
  let next = 0
  const putSample = (which) => {
    const samples = model.get("samples")
    const count = samples.byteLength / 784
    const small = h("canvas", {width: 28, height: 28})
    const brush = small.getContext("2d")
    const picture = brush.createImageData(28, 28)
    for (let i = 0; i < 784; i++) {
      const value = samples.getUint8((which % count) * 784 + i)
      picture.data.set([value, value, value, 255], 4 * i)
    }
    next = which + 1
    brush.putImageData(picture, 0, 0)
    remember()
    context.drawImage(small, 0, 0, side, side)
    settle()
    send()
  }
  const sample = button("A sample digit", () => putSample(next))
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
    seen.textContent = answer?.message || INVITATION
    tell()
  }
  model.on("change:answer", answered)
  clear()
  const lay = () => {
    // a picture that Python laid on the pad, or that was drawn in another view of it
    const picture = model.get("image")
    if (picture === mine || picture?.byteLength !== side * side) return
    putBack(new Uint8Array(picture.buffer, picture.byteOffset, side * side))
  }
  lay()
  model.on("change:image", lay)
  const paper = h("div", {class: "mc-paper"}, canvas, cursor)
  const right = h("div", {class: "mc-right"}, list)
  const left = h("div", {class: "mc-left"}, paper, tools, keep)
  const whole = h(
    "div",
    {class: "mc mc-pad"},
    h("div", {class: "mc-row"}, seen, left, right),
    help,
    said,
  )
  whole.addEventListener("keydown", (event) => {
    const wanted = (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey
    if (!wanted || event.key.toLowerCase() !== "z" || event.target.matches("input")) return
    event.preventDefault()
    event.stopPropagation()
    takeBack()
  })
  el.append(whole)
  answered()
  const stop = () => {
    clearTimeout(waiting)
    clearTimeout(speaking)
    model.off("change:answer", answered)
    model.off("change:image", lay)
  }
  return {stop, say, putSample, paper, right}
}

export function render({model, el}) {
  return pad({model, el}).stop
}

export default {render}
