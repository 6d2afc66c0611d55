// A network that trains before your eyes: knobs, the museum's bugs, the grid of curves, the
// kernels, twenty test digits, and runs to compare. Two workers do all the arithmetic.

import {h, liveRegion, percent, uniqueId} from "./common.js"
import {Network} from "./trainer_engine.js"
import {toFragment, toHistory, toSafetensors} from "./trainer_files.js"
import {lossGrid, sampleStroke} from "./trainer_plot.js"
import {readSettings, unpackDigits} from "./trainer_run.js"
import {short, weightView} from "./trainer_weights.js"
import {startWorker} from "./trainer_worker.js"

const CALM = 6000 // milliseconds between two sentences while it trains
const RUNS = 6 // that one can compare
const STRIP = 20 // test digits that are shown

const KNOBS = {
  lr: {
    words: "Learning rate",
    offers: [0.0001, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 10],
  },
  momentum: {words: "Momentum", offers: [0, 0.5, 0.8, 0.9, 0.95, 0.99]},
  batch: {words: "Digits in a batch", offers: [1, 4, 8, 16, 32, 64, 128, 333, 1000]},
  schedule: {words: "Schedule"},
  epochs: {words: "Epochs", offers: [1, 2, 3, 5, 10, 20, 50]},
  size: {words: "Maps: conv1 + conv2"},
  digits: {words: "Training digits", offers: [10, 100, 300, 1000, 2000, 3000, 6000]},
  decay: {words: "Weight decay", offers: [0, 0.0001, 0.001, 0.01, 0.1]},
}
const SCHEDULES = {
  constant: "constant",
  StepLR: "StepLR: a tenth of it for the last quarter",
  ExponentialLR: "ExponentialLR: x 0.8 each epoch",
  CosineAnnealingLR: "CosineAnnealingLR: down to 0",
}
const BUGS = {
  "no zero_grad": {
    words: "Forget zero_grad",
    watch:
      "Each step uses the sum of all gradients so far. Watch the losses: within the first epoch " +
      "they shoot off the chart, and the accuracy falls back to guessing.",
  },
  "shuffled labels": {
    words: "Shuffle the labels",
    watch:
      "Every training digit gets the label of another. Watch the test accuracy: it stays near " +
      "guessing, and the training loss near 2.3, since there's nothing to find.",
  },
  "lr x 100": {
    words: "Learning rate times 100",
    watch:
      "A decimal point in the wrong place. Watch the training loss: it jumps, then sticks at " +
      "2.3 or above, no better than guessing.",
  },
  "sorted digits": {
    words: "Don't shuffle: all zeros first",
    watch:
      "Then all ones, and so on. Watch the twenty digits: each lesson wipes out the one before, " +
      "and at the end of an epoch it gives one answer to everything.",
  },
  "mean of means": {
    words: "Average the batches' averages",
    watch:
      "Only the report is wrong: the network is the same. Take a batch of 333, which leaves one " +
      "test digit over, and watch the test accuracy jump: that digit counts as much as 333.",
  },
}

/** "1,234": a whole number with commas. */
const grouped = (value) => Math.round(value).toLocaleString("en-US")

/** What makes settings differ from how every run begins, in words. */
function difference(settings) {
  const usual = readSettings({}).settings
  const parts = []
  for (const name of Object.keys(KNOBS))
    if (settings[name] !== usual[name])
      parts.push(name === "schedule" ? settings[name] : `${SHORT[name]} ${settings[name]}`)
  if (settings.seed !== usual.seed) parts.push(`seed ${settings.seed}`)
  parts.push(...settings.bugs)
  return parts.join(", ") || "the usual settings"
}
const SHORT = {
  ...{lr: "lr", momentum: "momentum", batch: "batch", epochs: "epochs", size: "maps"},
  ...{digits: "digits", decay: "decay"},
}

/** What is wrong with a network that learns nothing, in words; "" for one that does. */
function trouble(loss, predicted) {
  const same = predicted.every((one) => one === predicted[0])
  const says = same ? `It says ${predicted[0]} to every test digit` : ""
  if (loss > Math.log(10) + 0.01) {
    const worse = `a test loss of ${short(loss)}, where guessing gives 2.30`
    return `${same ? `${says}, with` : "It has"} ${worse}: it's sure of itself, and wrong.`
  }
  return same ? `${says}.` : ""
}

/** Let the browser save a file. */
function download(name, content, type) {
  const address = URL.createObjectURL(new Blob([content], {type}))
  h("a", {href: address, download: name}).click()
  setTimeout(() => URL.revokeObjectURL(address), 1000)
}

/** Twenty test digits, two of each kind, and what the network takes them for. */
function digitStrip(test) {
  const found = []
  for (let digit = 0; digit < 10; digit++) {
    let n = 0
    test.labels.forEach((label, i) => {
      if (label === digit && n < STRIP / 10) {
        found.push(i)
        n += 1
      }
    })
  }
  const items = found.map((which) => {
    const canvas = h("canvas", {width: 28, height: 28, "aria-hidden": "true"})
    const context = canvas.getContext("2d")
    const picture = context.createImageData(28, 28)
    for (let i = 0; i < 784; i++) {
      const gray = 17 * test.pixels[which * 784 + i]
      picture.data.set([gray, gray, gray, 255], 4 * i)
    }
    context.putImageData(picture, 0, 0)
    const says = h("span", {class: "mc-says"}, "?")
    return {which, canvas, says, item: h("li", {}, canvas, says)}
  })
  const count = h("strong", {}, "")
  const element = h(
    "section",
    {class: "mc-tests", "aria-label": "Twenty test digits"},
    h("p", {class: "mc-tests-words"}, "Twenty digits it never trains on. ", count),
    h("ul", {}, ...items.map(({item}) => item)),
  )
  const show = (predicted) => {
    let right = 0
    for (const {which, says, item} of items) {
      const label = test.labels[which]
      const good = predicted[which] === label
      right += good ? 1 : 0
      says.replaceChildren(
        h("span", {"aria-hidden": "true"}, `${good ? "✓" : "✗"} ${predicted[which]}`),
        h("span", {class: "mc-unseen"}, `a ${label}, read as ${predicted[which]}`),
      )
      item.className = good ? "mc-good" : "mc-wrong"
    }
    count.textContent = `It reads ${right} of them.`
  }
  return {element, show}
}

export function render({model, el}) {
  const raw = model.get("digits")
  const digits = unpackDigits(new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength))
  let {settings} = readSettings(model.get("settings") ?? {}) // of the knobs
  const runs = []
  let run = null // the current one, one of `runs`
  let layers = null
  let looking = false // is the looking worker at work?
  let queue = [] // marks that wait to be looked at
  let spoke = 0
  let numbers = 0 // runs so far

  const trainer = startWorker("training")
  const looker = startWorker("looking")
  trainer.postMessage({task: "digits", digits: digits.train})
  looker.postMessage({digits: digits.test})

  // ---- what is on the page
  const said = liveRegion()
  const say = (words) => {
    said.textContent = words
    spoke = performance.now()
  }
  const button = (words, action, extra = {}) =>
    h("button", {type: "button", onclick: action, ...extra}, words)
  const play = button("Train", () => toggle(), {class: "mc-primary"})
  const one = button("One batch", () => {
    ensure()
    trainer.postMessage({task: "batch"})
  })
  const fresh = button("New run", () => begin())
  const pace = h("p", {class: "mc-pace"}, "")
  const progress = h("progress", {max: 1, value: 0, "aria-label": "How much of the run is done"})
  const backTo = h("input", {
    ...{type: "range", min: 0, max: 0, step: 1, value: 0, disabled: true},
    oninput: () => {
      const step = run?.kept[Number(backTo.value)]
      if (step !== undefined) trainer.postMessage({task: "back", step})
    },
  })
  const backWords = h("span", {class: "mc-back-words", "aria-hidden": "true"}, "the beginning")
  const strip = digitStrip(digits.test)
  const grid = lossGrid()
  const weights = weightView({onnudge: (index) => trainer.postMessage({task: "nudge", index})})
  const table = h("tbody")
  const log = h("tbody")

  // ---- knobs
  const knobs = {}
  const option = (value, words = `${value}`) => h("option", {value}, words)
  for (const [name, {words, offers}] of Object.entries(KNOBS)) {
    const entries =
      name === "schedule"
        ? Object.entries(SCHEDULES).map(([value, text]) => option(value, text))
        : name === "size"
          ? ["4 + 8", "8 + 16", "16 + 32"].map((value) => option(value))
          : offers.map((value) => option(value, grouped(value) === "0" ? `${value}` : undefined))
    const field = h("select", {onchange: () => change()}, ...entries)
    knobs[name] = {field, label: h("label", {}, h("span", {}, words), field)}
  }
  const seed = h("input", {
    ...{type: "number", min: 0, max: 999999, step: 1, value: settings.seed},
    onchange: () => change(),
  })
  const switches = Object.entries(BUGS).map(([name, {words, watch}]) => {
    const id = uniqueId("bug")
    const field = h("input", {type: "checkbox", "aria-describedby": id, onchange: () => change()})
    return {
      name,
      field,
      item: h("li", {}, h("label", {}, field, ` ${words}`), h("p", {id, class: "mc-note"}, watch)),
    }
  })
  const pendingWords = h("span", {})
  const pending = h(
    "div",
    {class: "mc-pending", hidden: true},
    pendingWords,
    button("Start this run", () => {
      if (run.step === 0) toggle()
      else begin()
      change()
      main.scrollIntoView()
    }),
  )
  let changed = false // has somebody turned a knob before the first batch?

  const showKnobs = () => {
    for (const [name, {field}] of Object.entries(knobs)) {
      const value = `${settings[name]}`
      if (![...field.options].some((entry) => entry.value === value)) field.append(option(value))
      field.value = value
    }
    seed.value = settings.seed
    for (const {name, field} of switches) field.checked = settings.bugs.includes(name)
  }

  const change = () => {
    const given = {bugs: switches.filter(({field}) => field.checked).map(({name}) => name)}
    for (const [name, {field}] of Object.entries(knobs))
      given[name] = typeof settings[name] === "number" ? Number(field.value) : field.value
    given.seed = seed.value === "" ? Number.NaN : Number(seed.value)
    const read = readSettings(given)
    if (read.refused.length) say("A seed is a whole number from 0 to 999,999.")
    settings = read.settings
    showKnobs()
    if (run && run.step === 0 && !run.going && toFragment(run.settings) !== toFragment(settings)) {
      runs.pop() // it hasn't learned anything yet: begin with these instead
      numbers -= 1
      changed = true
      return make()
    }
    const waits = run && toFragment(run.settings) !== toFragment(settings)
    const fits = changed && run?.step === 0 && !run.going
    pending.hidden = !waits && !fits
    pendingWords.textContent = waits
      ? `For the next run: ${difference(settings)}. This one stays on the chart.`
      : fits
        ? `For this run: ${difference(settings)}.`
        : ""
    fresh.classList.toggle("mc-primary", Boolean(waits))
    model.set("settings", settings)
    model.save_changes()
  }

  // ---- a run begins, goes on, and is looked at
  const ensure = () => {
    if (!run) make()
  }
  const make = () => {
    run = {
      ...{number: numbers, settings, epochs: settings.epochs, marks: [], kept: [0], step: 0},
      ...{stepsPerEpoch: 1, going: false, finished: false, diverged: false, seen: true},
    }
    numbers += 1
    for (const other of runs) other.current = false
    run.current = true
    runs.push(run)
    if (runs.length > RUNS) runs.shift()
    queue = []
    layers = new Network(settings.size.split(" + ").map(Number), 1).layers
    trainer.postMessage({task: "start", id: run.number, settings})
    change()
  }
  const begin = () => {
    make()
    run.going = true
    trainer.postMessage({task: "go"})
    buttons()
    say(`Run ${run.number + 1} begins: ${difference(settings)}.`)
  }
  const toggle = () => {
    if (run?.going) trainer.postMessage({task: "pause"})
    else if (!run || run.finished) begin()
    else {
      run.going = true
      pending.hidden = !run.step || pending.hidden
      trainer.postMessage({task: "go"})
      buttons()
      say("Training goes on.")
    }
  }

  const buttons = () => {
    play.textContent = run?.going ? "Pause" : !run?.step || run.finished ? "Train" : "Go on"
    one.disabled = Boolean(run?.finished)
    fresh.hidden = !run?.step
    backTo.disabled = !run || run.going || run.kept.length < 2
  }

  const lookNext = () => {
    if (looking || !queue.length) return
    // where the looker can't keep up, epochs are all looked at, and fewer moments in between
    const ends = queue.findIndex((mark) => mark.ends)
    const at = queue.length > 3 && ends >= 0 ? ends : 0
    const [mark] = queue.splice(at, 1)
    if (at > 0) queue.splice(0, at)
    looking = true
    const {size, batch, bugs} = run.settings
    const meansOf = bugs.includes("mean of means") ? batch : 0
    looker.postMessage({id: run.number, step: mark.step, weights: mark.weights, size, meansOf})
  }

  const status = () => {
    const {settings: of, step, stepsPerEpoch, count} = run
    const epoch = Math.min(of.epochs, Math.floor(step / stepsPerEpoch) + (run.finished ? 0 : 1))
    const inEpoch = step - (epoch - 1) * stepsPerEpoch
    progress.max = stepsPerEpoch * of.epochs
    progress.value = step
    const parts = [`Epoch ${epoch} of ${of.epochs}`, `batch ${inEpoch} of ${stepsPerEpoch}`]
    parts.push(`learning rate ${short(run.lr)}`)
    if (step) parts.push(`loss of this batch ${short(run.batchLoss)}`)
    if (step && !run.going && count < of.batch) parts.push(`a short one, of ${count}`)
    if (run.rate > 0) parts.push(`${grouped(run.rate)} digits a second`)
    pace.textContent = parts.join(" · ")
    backTo.max = run.kept.length - 1
    const at = run.kept.findLastIndex((kept) => kept <= step)
    backTo.value = at
    backWords.textContent = step === 0 ? "the beginning" : `batch ${grouped(step)}`
    backTo.setAttribute("aria-valuetext", backWords.textContent)
  }

  const summary = () => {
    const shown = runs.filter((other) => other.seen)
    const parts = shown.map((other) => {
      const last = other.marks.findLast((mark) => mark.test)
      return `run ${other.number + 1} (${difference(other.settings)}): ${
        last
          ? `test accuracy ${percent(last.test.acc)}, test loss ${short(last.test.loss)}`
          : "nothing yet"
      }`
    })
    return `Loss and accuracy on training and test digits, over the epochs. ${parts.join("; ")}.`
  }

  let drawn = 0
  let waiting = null
  const redraw = () => {
    clearTimeout(waiting)
    waiting = null
    drawn = performance.now()
    grid.draw(
      runs
        .filter((other) => other.seen)
        .map((other) => ({
          ...other,
          marks: other.marks.filter((mark) => mark.step <= other.step),
        })),
      summary(),
    )
  }
  const redrawSoon = () => {
    waiting ??= setTimeout(redraw, Math.max(0, drawn + 150 - performance.now()))
  }

  const watcher = new ResizeObserver(redrawSoon)
  watcher.observe(grid.element)

  const epochRows = () => {
    const ends = (run?.marks ?? []).filter((mark) => mark.ends && mark.step <= run.step)
    log.replaceChildren(
      ...ends.map((mark) =>
        h(
          "tr",
          {},
          h("th", {scope: "row"}, `${mark.step / run.stepsPerEpoch}`),
          ...[
            short(mark.whole.loss),
            percent(mark.whole.acc),
            mark.test ? short(mark.test.loss) : "...",
            mark.test ? percent(mark.test.acc) : "...",
            short(mark.lr),
          ].map((words) => h("td", {}, words)),
        ),
      ),
    )
  }

  const runRows = () => {
    table.replaceChildren(
      ...runs.map((other) => {
        const last = other.marks.findLast((mark) => mark.test && mark.step <= other.step)
        const seen = h("input", {
          ...{type: "checkbox", checked: other.seen},
          "aria-label": `Show run ${other.number + 1} in the chart`,
          onchange: () => {
            other.seen = seen.checked
            redraw()
          },
        })
        return h(
          "tr",
          {},
          h("td", {}, seen),
          h(
            "th",
            {scope: "row"},
            sampleStroke(other.number),
            ` ${other.number + 1}: ${difference(other.settings)}`,
          ),
          h("td", {}, other.diverged ? "diverged" : last ? percent(last.test.acc) : "..."),
          h(
            "td",
            {},
            button(
              "Use these",
              () => {
                settings = other.settings
                showKnobs()
                change()
                say(`The knobs stand as in run ${other.number + 1}.`)
              },
              {"aria-label": `Use the settings of run ${other.number + 1}`},
            ),
          ),
        )
      }),
    )
  }

  const publish = () => {
    model.set(
      "curves",
      toHistory(
        run.settings,
        run.marks.filter((mark) => mark.step <= run.step),
      ),
    )
    model.save_changes()
  }

  trainer.onmessage = ({data}) => {
    if (!run || data.id !== run.number) return
    if (data.kind === "nudged") {
      weights.nudged(data)
      say("The gradient was checked: see below the kernels.")
      return
    }
    const before = {going: run.going, finished: run.finished}
    const steppedBack = data.step < run.step
    const {step, stepsPerEpoch, count, batchLoss, finished, diverged, kept, rate, lr} = data
    Object.assign(run, {step, stepsPerEpoch, count, batchLoss, finished, diverged, kept, lr})
    if (rate > 0) run.rate = rate
    run.going = data.going
    run.weights = data.weights
    if (data.marks.length) {
      const first = data.marks[0].step
      run.marks = run.marks.filter((mark) => mark.step < first)
      queue = queue.filter((mark) => mark.step < first)
      run.marks.push(...data.marks)
      queue.push(...data.marks)
    }
    if (!data.going && !data.marks.some((mark) => mark.step === step))
      queue = [{step, weights: data.weights, ends: false}, ...queue.filter((mark) => mark.ends)]
    weights.show({
      ...{layers, weights: data.weights, grads: data.grads, velocity: data.velocity},
      ...{lr, step, going: data.going, diverged, bugs: run.settings.bugs},
    })
    status()
    buttons()
    redrawSoon()
    if (data.marks.length) {
      epochRows()
      runRows()
    }
    lookNext()
    const {epochs} = run.settings
    const last = run.marks.findLast((mark) => mark.test)
    if (diverged) {
      const wish = run.settings.lr * (run.settings.bugs.includes("lr x 100") ? 100 : 1)
      say(
        `It diverged at batch ${grouped(step)}: a weight is no number any more, and nothing ` +
          "that's computed from it can be one again. Each step jumped over the valley and landed " +
          `higher than before. ${
            run.settings.bugs.length
              ? "Switch the bug off and start a new run"
              : `The learning rate was ${short(wish)}: try a tenth of it`
          }, or go back to a moment before.`,
      )
    } else if (finished && !before.finished) run.closing = true
    else if (steppedBack)
      say(`Back at ${backWords.textContent}. Go on from here, and what came after is replaced.`)
    else if (before.going && !data.going && !finished) say(`Paused at batch ${grouped(step)}.`)
    else if (!data.going && step > 0 && !finished && !before.going)
      say(`Batch ${grouped(step)}: loss ${short(batchLoss)}.`)
    else if (data.going && performance.now() - spoke > CALM && last)
      say(
        `Epoch ${Math.min(epochs, data.epoch + 1)} of ${epochs}, ${grouped(run.rate)} digits a ` +
          `second. It reads ${percent(last.test.acc)} of the test digits. ${run.trouble ?? ""}`,
      )
  }

  looker.onmessage = ({data}) => {
    looking = false
    if (run && data.id === run.number) {
      const mark = run.marks.find((one) => one.step === data.step)
      const {loss, acc} = data
      if (mark) {
        mark.test = {loss, acc}
        run.trouble = trouble(loss, data.predicted)
      }
      strip.show(data.predicted)
      redrawSoon()
      if (mark?.ends) {
        epochRows()
        publish()
      }
      if (mark) runRows()
      if (run.closing && mark && data.step === run.step) {
        run.closing = false
        say(
          `Done: after ${run.settings.epochs} epochs it reads ${percent(acc)} of ` +
            `${grouped(digits.test.labels.length)} test digits. ` +
            (run.trouble || "Change something and start a new run: both stay on the chart."),
        )
      }
    }
    lookNext()
  }

  // ---- links and files
  const link = button("Copy a link to this run", async () => {
    const of = run?.settings ?? settings
    const address = `${location.href.split("#")[0]}#${toFragment(of)}`
    try {
      await navigator.clipboard.writeText(address)
      say("The link is copied. It holds the settings and the seed, nothing else.")
    } catch {
      shown.hidden = false
      shown.value = address
      shown.select()
      say("Here is the link: copy it from the field.")
    }
  })
  const shown = h("input", {
    class: "mc-link",
    readonly: true,
    hidden: true,
    "aria-label": "The link",
  })
  const asHistory = button("Save the curves (JSON)", () => {
    if (!run) return say("Train first: there are no curves yet.")
    const history = toHistory(
      run.settings,
      run.marks.filter((mark) => mark.step <= run.step),
    )
    download("history.json", JSON.stringify(history, null, 1), "application/json")
    say(`history.json has ${history.lr.length} epochs: History.load reads it.`)
  })
  const asWeights = button("Save the weights (safetensors)", () => {
    if (!run) return say("Train first: there are no weights yet.")
    download(
      "model.safetensors",
      toSafetensors(layers, run.weights, run.settings),
      "application/octet-stream",
    )
    say("model.safetensors is for TrainerNet in mnist_course.widgets.trainer.")
  })

  // ---- all of it
  const heading = (words) => h("h2", {tabindex: -1}, words)
  const knobsHeading = heading("Turn the knobs")
  const museumHeading = heading("Break it on purpose")
  const jump = (to) => button(`${to.textContent} ↓`, () => to.focus())
  const column = (words) => h("th", {scope: "col"}, words)
  const comparison = h(
    "section",
    {class: "mc-runs"},
    heading("Compare your runs"),
    h(
      "div",
      {class: "mc-scroll", tabindex: 0, role: "region", "aria-label": "Your runs"},
      h(
        "table",
        {class: "mc-log"},
        h("thead", {}, h("tr", {}, ...["shown", "run", "test accuracy", "settings"].map(column))),
        table,
      ),
    ),
    h("div", {class: "mc-controls"}, link, asHistory, asWeights),
    shown,
  )
  const main = h(
    "div",
    {class: "mc mc-trainer"},
    h(
      "div",
      {class: "mc-deck"},
      h(
        "div",
        {class: "mc-controls", role: "group", "aria-label": "The run"},
        play,
        one,
        fresh,
        h("label", {class: "mc-back"}, h("span", {}, "Go back to "), backTo, backWords),
      ),
      progress,
      pace,
      said,
      h("div", {class: "mc-controls mc-jumps"}, jump(knobsHeading), jump(museumHeading)),
    ),
    strip.element,
    h(
      "div",
      {class: "mc-bench"},
      h(
        "div",
        {class: "mc-left-column"},
        h(
          "section",
          {class: "mc-grid-box", "aria-label": "The curves"},
          grid.element,
          h(
            "details",
            {},
            h("summary", {}, "The numbers, epoch by epoch"),
            h(
              "div",
              {class: "mc-scroll", tabindex: 0, role: "region", "aria-label": "The numbers"},
              h(
                "table",
                {class: "mc-log"},
                h(
                  "thead",
                  {},
                  h(
                    "tr",
                    {},
                    ...["epoch", "train loss", "train acc", "test loss", "test acc", "lr"].map(
                      column,
                    ),
                  ),
                ),
                log,
              ),
            ),
          ),
        ),
        comparison,
      ),
      weights.element,
    ),
    h(
      "section",
      {class: "mc-knobs"},
      knobsHeading,
      h(
        "div",
        {class: "mc-knob-row"},
        ...Object.values(knobs).map(({label}) => label),
        h("label", {}, h("span", {}, "Random seed"), seed),
      ),
    ),
    h(
      "section",
      {class: "mc-museum"},
      museumHeading,
      h("ul", {}, ...switches.map(({item}) => item)),
    ),
    pending,
  )
  el.append(main)
  showKnobs()
  const quiet = new Network(settings.size.split(" + ").map(Number), 1)
  make()
  redraw()
  const taught = model.get("words")
  say(taught || `Press Train: ${grouped(quiet.count)} random numbers are about to learn to read.`)
  model.on("change:settings", () => {
    const read = readSettings(model.get("settings") ?? {}).settings
    if (toFragment(read) === toFragment(settings)) return
    settings = read
    showKnobs()
    change()
  })
  return () => {
    trainer.terminate()
    looker.terminate()
    watcher.disconnect()
    clearTimeout(waiting)
  }
}

export default {render}
