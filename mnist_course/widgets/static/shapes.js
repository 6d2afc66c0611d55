// A network as a list of layers to change: what each makes of what it gets, and PyTorch's own words
// where it cannot run.

import {KINDS, MOST_LAYERS, NET, RANGES, explore, nameLayers, withCommas} from "./arithmetic.js"
import {h, liveRegion, uniqueId} from "./common.js"

const HOW =
  "Change a number and see what becomes of the layers behind it. A field that you leave empty is " +
  "filled in: with what arrives, or, for a stride, with the size of the window. What it is " +
  "filled in with stands there in italics."
const NONE = "–"
const PAUSE = 400 // milliseconds without a key: whoever types has stopped
const SIZES = ["channels", "height", "width"] // of the input
const NOTE =
  "It reads every row of every map by itself; a Flatten before it would hand it all of them at " +
  "once."

const bySize = (sizes) => sizes.join(" x ")
const range = (name) => `a whole number from ${RANGES[name].map(withCommas).join(" to ")}`

/**
 * A number of a layer, or of the input. `take` gets what the user typed once it is a fair value;
 * `complain` what to say until then.
 */
function field({name, of, optional, take, complain}) {
  const [min, max] = RANGES[name]
  const input = h("input", {
    type: "number",
    inputmode: "numeric",
    min,
    max,
    step: 1,
    "aria-label": `${name} of ${of}`,
  })
  let value = null // of the model
  const typed = () => {
    if (input.validity.badInput || (input.value === "" && !optional)) return undefined
    if (input.value === "") return null
    const number = Number(input.value)
    return Number.isInteger(number) && number >= min && number <= max ? number : undefined
  }
  const show = () => {
    input.value = value ?? ""
    input.removeAttribute("aria-invalid")
  }
  // 9, 99 and 999 are on the way to 9999: a value counts once the typing stops
  let waiting = null
  const settle = () => {
    clearTimeout(waiting)
    const number = typed()
    if (number === undefined) {
      input.setAttribute("aria-invalid", "true")
      complain(
        `${name} of ${input.dataset.of} stays ${value ?? "as it is filled in"}: ` +
          `it must be ${range(name)}.`,
      )
      return
    }
    input.removeAttribute("aria-invalid")
    if (number === value) complain("")
    else take(number)
  }
  input.addEventListener("input", () => {
    clearTimeout(waiting)
    waiting = setTimeout(settle, PAUSE)
  })
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") settle()
  })
  input.addEventListener("change", () => {
    if (typed() === undefined) {
      clearTimeout(waiting)
      show()
      complain("") // the number of before stands there again
    } else settle()
  })
  return {
    element: h("label", {}, name, input),
    update: (next, filled, of) => {
      input.dataset.of = of
      input.setAttribute("aria-label", `${name} of ${of}`)
      if (optional) input.placeholder = filled ?? "?"
      const changed = next !== value
      value = next
      if (changed && typed() !== value) show()
    },
  }
}

export function render({model, el}) {
  const said = liveRegion()
  const caption = uniqueId("layers")
  const say = (text, isFault = false) => {
    said.textContent = text
    said.classList.toggle("mc-fault", isFault)
  }

  const layers = () => model.get("layers")
  const send = (name, value) => {
    model.set(name, value)
    model.save_changes()
  }
  let focus = null // which button of which layer gets the focus once the list has changed
  const change = (next, place, button) => {
    focus = next.length
      ? {place: Math.min(Math.max(place, 0), next.length - 1), button}
      : {add: true}
    send("layers", next)
  }
  const move = (i, by) => {
    const next = [...layers()]
    next.splice(i + by, 0, ...next.splice(i, 1))
    change(next, i + by, by < 0 ? "up" : "down")
  }

  /**
   * The table's row of one layer, and the row below it that speaks where something is to be said.
   */
  const makeRow = (kind, i) => {
    const fields = Object.entries(KINDS[kind]).map(([name, standard]) => [
      name,
      field({
        name,
        of: kind,
        optional: standard === null,
        complain,
        take: (number) =>
          send(
            "layers",
            layers().map((layer, j) => (j === i ? {...layer, [name]: number} : layer)),
          ),
      }),
    ])
    const button = (sign, action) => h("button", {type: "button", onclick: action}, sign)
    const buttons = {
      up: button("↑", () => move(i, -1)),
      down: button("↓", () => move(i, 1)),
      remove: button("×", () =>
        change(
          layers().filter((_, j) => j !== i),
          i,
          "remove",
        ),
      ),
    }
    const name = h("span")
    const settings = fields.length
      ? [h("div", {class: "mc-settings"}, ...fields.map(([, one]) => one.element))]
      : []
    const cell = (label) => h("td", {class: "mc-number", role: "cell", "data-label": label})
    const cells = {
      shape: cell("shape"),
      params: cell("parameters"),
      macs: cell("MACs"),
      sees: cell("sees"),
    }
    const row = h(
      "tr",
      {role: "row"},
      h("th", {scope: "row", role: "rowheader", class: "mc-name"}, name, h("small", {}, kind)),
      h("td", {role: "cell", class: "mc-wide"}, ...settings),
      ...Object.values(cells),
      h(
        "td",
        {role: "cell", class: "mc-moves-cell"},
        h("div", {class: "mc-moves"}, ...Object.values(buttons)),
      ),
    )
    const words = h("div")
    const below = h(
      "tr",
      {role: "row", class: "mc-said", hidden: true},
      h("td", {colspan: 7, role: "cell", class: "mc-wide"}, words),
    )
    const update = (layer, layerName, shape, found, error, count) => {
      name.textContent = layerName
      buttons.up.setAttribute("aria-label", `Move ${layerName} up`)
      buttons.down.setAttribute("aria-label", `Move ${layerName} down`)
      buttons.remove.setAttribute("aria-label", `Remove ${layerName}`)
      buttons.up.disabled = i === 0
      buttons.down.disabled = i === count - 1
      const filled = {
        in_channels: shape?.length === 3 ? shape[0] : null,
        in_features: shape?.at(-1),
        stride: layer.kernel_size,
      }
      for (const [setting, one] of fields) one.update(layer[setting], filled[setting], layerName)
      cells.shape.textContent = found ? bySize(found.outputShape) : NONE
      cells.params.textContent = found ? withCommas(found.params) : NONE
      cells.macs.textContent = found ? withCommas(found.macs) : NONE
      cells.sees.textContent = found?.receptiveField ? bySize([found.receptiveField].flat()) : NONE
      const note = found?.kind === "Linear" && found.outputShape.length === 3
      below.hidden = !error && !note
      words.className = error ? "mc-fault" : "mc-note"
      words.textContent = error
        ? `${error.type ? `${error.type}: ` : ""}${error.text}`
        : note
          ? NOTE
          : ""
    }
    return {row, below, update, buttons}
  }

  const sizes = SIZES.map((name, i) =>
    field({
      name,
      of: "the input",
      optional: false,
      complain: (text) => complain(text),
      take: (number) =>
        send(
          "input_size",
          model.get("input_size").map((size, j) => (j === i ? number : size)),
        ),
    }),
  )
  const input = h(
    "div",
    {class: "mc-settings", role: "group", "aria-label": "The input"},
    h("strong", {}, "input"),
    ...sizes.map((size) => size.element),
  )
  const heads = {
    layer: "",
    settings: "mc-wide",
    "output shape": "mc-number",
    parameters: "mc-number",
    MACs: "mc-number",
    sees: "mc-number",
    change: "mc-number",
  }
  const body = h("tbody", {role: "rowgroup"})
  const total = {
    params: h("td", {class: "mc-number", role: "cell", "data-label": "parameters"}),
    macs: h("td", {class: "mc-number", role: "cell", "data-label": "MACs"}),
  }
  const totalName = h("th", {scope: "row", role: "rowheader", class: "mc-total"})
  const empty = () => h("td", {role: "cell", class: "mc-empty"})
  const table = h(
    "table",
    {class: "mc-ledger", role: "table", "aria-labelledby": caption},
    h("caption", {id: caption}, "The layers, in the order in which an image meets them"),
    h(
      "thead",
      {role: "rowgroup"},
      h(
        "tr",
        {role: "row"},
        ...Object.entries(heads).map(([text, look]) =>
          h("th", {scope: "col", role: "columnheader", class: look}, text),
        ),
      ),
    ),
    body,
    h(
      "tfoot",
      {role: "rowgroup"},
      h(
        "tr",
        {role: "row"},
        totalName,
        h("td", {role: "cell", class: "mc-wide"}),
        empty(),
        total.params,
        total.macs,
        empty(),
        empty(),
      ),
    ),
  )

  const kind = h(
    "select",
    {"aria-label": "Add a layer of this kind"},
    ...Object.keys(KINDS).map((name) => h("option", {value: name}, name)),
  )
  const after = h("select", {"aria-label": "behind which layer"})
  const add = h(
    "button",
    {
      type: "button",
      onclick: () => {
        const place = Number(after.value)
        const next = [...layers()]
        next.splice(place, 0, {kind: kind.value, ...KINDS[kind.value]})
        change(next, place, "remove")
      },
    },
    "Add",
  )
  const reset = h(
    "button",
    {
      type: "button",
      onclick: () => {
        model.set("input_size", [1, 28, 28])
        send("layers", NET)
      },
    },
    "The course's Net",
  )
  const tools = h("div", {
    class: "mc-tools",
    role: "group",
    "aria-label": "New layer, or the course's Net again",
  })
  tools.append(h("label", {}, "Add a ", kind), h("label", {}, " behind ", after), add, reset)

  let rows = []
  let shown = null // the kinds of the rows
  let summary = ["", false]
  function complain(text) {
    if (text) say(text, true)
    else say(...summary)
  }

  const update = () => {
    const list = layers()
    const size = model.get("input_size")
    const names = nameLayers(list)
    const found = explore(list, size, model.get("words") ?? undefined)
    const kinds = list.map((layer) => layer.kind).join()
    if (kinds !== shown) {
      shown = kinds
      rows = list.map((layer, i) => makeRow(layer.kind, i))
      body.replaceChildren(...rows.flatMap(({row, below}) => [row, below]))
      after.replaceChildren(
        h("option", {value: 0}, "the input"),
        ...names.map((name, i) => h("option", {value: i + 1}, name)),
      )
      after.value = list.length
      add.disabled = list.length >= MOST_LAYERS
    }
    sizes.forEach((one, i) => {
      one.update(size[i], null, "the input")
    })
    rows.forEach(({update: show}, i) => {
      const arrives = i === 0 ? size : found.rows[i - 1]?.outputShape
      show(
        list[i],
        names[i],
        arrives,
        found.rows[i],
        found.error?.index === i ? found.error : null,
        list.length,
      )
    })
    total.params.textContent = withCommas(found.params)
    total.macs.textContent = withCommas(found.macs)
    const {error} = found
    totalName.textContent = error ? "total so far" : "total"
    const out = found.rows.length ? found.rows.at(-1).outputShape : size
    const nothing = [`There are no layers: ${bySize(size)} in, ${bySize(size)} out.`, false]
    summary = !list.length
      ? nothing
      : error
        ? [`${error.name} cannot run. ${error.type ? `${error.type}: ` : ""}${error.text}`, true]
        : [
            `The network runs: ${bySize(size)} in, ${bySize(out)} out, ` +
              `${withCommas(found.params)} parameters, ${withCommas(found.macs)} MACs.`,
            false,
          ]
    say(...summary)
    if (focus) {
      const target = focus.add ? add : rows[focus.place].buttons[focus.button]
      ;(target.disabled ? rows[focus.place].buttons.remove : target).focus()
      focus = null
    }
  }

  const help = h("p", {class: "mc-help"}, HOW)
  // JupyterLab has plans of its own for many keys
  el.append(
    h(
      "div",
      {class: "mc mc-shapes", "data-lm-suppress-shortcuts": "true"},
      help,
      said,
      input,
      table,
      tools,
    ),
  )
  for (const name of ["layers", "input_size"]) model.on(`change:${name}`, update)
  update()
  return () => {
    for (const name of ["layers", "input_size"]) model.off(`change:${name}`, update)
  }
}

export default {render}
