// The trainer's two workers: one trains, one looks at the test digits. Their text is put together
// here from functions and classes, so that they start from a notebook and from a bare file too,
// where a browser would not fetch a script.

import {ConvPool, Network, randomNumbers, scheduledRate} from "./trainer_engine.js"
import {Examiner, Run, layPixels} from "./trainer_run.js"

/** What the training worker does: batches in slices, a report after each, marks on the way. */
function serveTraining(scope) {
  const SLICE = 40 // milliseconds between two looks at the messages
  const KEPT = 80 // moments that one can go back to
  let digits = null
  let run = null
  let id = 0
  let going = false
  let kept = []
  let fresh = [] // marks since the last report
  let seconds = 0 // of the epoch
  let pace = {digits: 0, seconds: 0}
  let told = 0

  const report = () => {
    const {network} = run
    told = performance.now()
    scope.postMessage({
      ...{kind: "report", id, going, marks: fresh, kept: kept.map((one) => one.step)},
      ...{step: run.step, stepsPerEpoch: run.stepsPerEpoch, count: run.count},
      ...{batchLoss: run.batchLoss, finished: run.finished, diverged: run.diverged},
      ...{rate: pace.seconds > 0 ? pace.digits / pace.seconds : 0},
      ...{epoch: run.epoch, lr: run.rate(Math.max(0, Math.ceil(run.step / run.stepsPerEpoch) - 1))},
      ...{weights: network.weights.slice(), grads: network.grads.slice()},
      ...{velocity: network.velocity.slice()},
    })
    fresh = []
    if (pace.seconds > 2) pace = {digits: pace.digits / 2, seconds: pace.seconds / 2}
  }

  const keep = () => {
    kept = kept.filter((one) => one.step < run.step)
    kept.push({...run.snapshot(), seconds})
    if (kept.length > KEPT) kept.splice(1, 1) // the beginning stays
  }

  const mark = () => {
    const ends = run.step > 0 && run.step % run.stepsPerEpoch === 0
    fresh.push({
      ...{step: run.step, ends, seconds, weights: run.network.weights.slice()},
      part: run.part.digits ? run.means(run.part) : null,
      whole: ends ? run.means(run.whole) : null,
      lr: run.rate(Math.max(0, Math.ceil(run.step / run.stepsPerEpoch) - 1)),
    })
    run.part = run.sums()
    if (ends) seconds = 0
    keep()
  }

  const advance = () => {
    const start = performance.now()
    run.advance()
    const took = (performance.now() - start) / 1000
    seconds += took
    pace.digits += run.count
    pace.seconds += took
    const fifth = (step) => Math.floor((5 * step) / run.stepsPerEpoch)
    if (fifth(run.step) > fifth(run.step - 1) || run.diverged) mark()
  }

  const slice = () => {
    if (!going) return
    const until = performance.now() + SLICE
    while (!run.finished && performance.now() < until) advance()
    if (run.finished) going = false
    if (!going || performance.now() - told > 100 || fresh.length) report()
    if (going) next.port2.postMessage(0)
  }
  const next = new MessageChannel() // a timer would wait four milliseconds at least
  next.port1.onmessage = slice

  /** The loss of the last batch, with one weight moved a little to either side. */
  const nudge = (index) => {
    const {network} = run
    const now = network.weights.slice()
    const lr = run.rate(Math.floor((run.step - 1) / run.stepsPerEpoch))
    for (let i = 0; i < network.count; i++) network.weights[i] += lr * network.velocity[i]
    run.deal(run.step - 1)
    const before = network.weights[index]
    const by = 1e-4
    const loss = (value) => {
      network.weights[index] = value
      network.forward(run.x, run.y, run.count)
      return network.loss
    }
    const [high, low] = [loss(before + by), loss(before - by)]
    network.weights.set(now)
    return {kind: "nudged", id, index, by, high, low, slope: (high - low) / (2 * by)}
  }

  const tasks = {
    digits(message) {
      digits = message.digits
    },
    start(message) {
      id = message.id
      run = new Run(message.settings, digits)
      kept = []
      fresh = []
      seconds = 0
      pace = {digits: 0, seconds: 0}
      going = false
      mark()
      report()
    },
    go() {
      if (run.finished || going) return
      going = true
      pace = {digits: 0, seconds: 0}
      next.port2.postMessage(0)
    },
    pause() {
      going = false
      keep()
      report()
    },
    batch() {
      if (run.finished) return
      going = false
      advance()
      keep()
      report()
    },
    back({step}) {
      going = false
      const moment = kept.find((one) => one.step === step)
      if (moment) {
        run.restore(moment)
        seconds = moment.seconds
      }
      report()
    },
    nudge({index}) {
      if (run.step > 0 && !run.diverged) scope.postMessage(nudge(index))
    },
  }
  scope.onmessage = ({data}) => tasks[data.task](data)
}

/** What the looking worker does: weights come, and what they make of the test digits goes back. */
function serveLooking(scope) {
  let digits = null
  let examiner = null
  let of = ""
  scope.onmessage = ({data}) => {
    if (data.digits) digits = data.digits
    if (!data.weights) return
    if (of !== data.size) {
      of = data.size
      examiner = new Examiner(of.split(" + ").map(Number), digits)
    }
    const {id, step, weights, meansOf} = data
    scope.postMessage({id, step, ...examiner.look(weights, meansOf)})
  }
}

/** Start a worker: "training" or "looking". */
export function startWorker(which) {
  const serve = which === "training" ? serveTraining : serveLooking
  const parts = [randomNumbers, scheduledRate, ConvPool, Network, layPixels, Examiner, Run, serve]
  const text = `"use strict"\n${parts.join("\n")}\n${serve.name}(self)\n`
  const address = URL.createObjectURL(new Blob([text], {type: "text/javascript"}))
  const worker = new Worker(address)
  return worker
}
