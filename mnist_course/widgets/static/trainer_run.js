// A run: settings, digits in an order, batches one by one, and what the original script notes of
// them. Like the engine, nothing in here knows a page, and each part stands on its own feet.

import {Network, randomNumbers, scheduledRate} from "./trainer_engine.js"
import {RULES} from "./trainer_settings.js"

/**
 * Settings of a run from whatever somebody sent: each value that is not allowed is replaced by the
 * one that a run starts with, and named in `refused`.
 */
export function readSettings(given) {
  const settings = {}
  const refused = []
  for (const [name, rule] of Object.entries(RULES)) {
    const value = Object.hasOwn(given ?? {}, name) ? given[name] : undefined
    const isList = Array.isArray(rule.start)
    const right = isList
      ? Array.isArray(value) && value.every((one) => rule.names.includes(one))
      : rule.names
        ? rule.names.includes(value)
        : typeof value === "number" &&
          value >= rule.least &&
          value <= rule.most &&
          (!rule.whole || Number.isInteger(value))
    if (value !== undefined && !right) refused.push(name)
    settings[name] = right ? value : rule.start
    if (isList) settings[name] = rule.names.filter((one) => settings[name].includes(one))
  }
  return {settings, refused}
}

/** The digits as a run takes them: a byte a pixel, 0 to 15, and a label each. */
export function unpackDigits(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const counts = [view.getUint32(0, true), view.getUint32(4, true)]
  const total = counts[0] + counts[1]
  if (bytes.length !== 8 + total + total * 392)
    throw new Error(`${bytes.length} bytes are not ${total} digits`)
  const pixels = new Uint8Array(total * 784)
  let from = 8 + total
  for (let n = 0; n < total; n++)
    for (let y = 0; y < 28; y += 2)
      for (let x = 0; x < 28; x++) {
        // two rows share a byte: that packs best, since a stroke goes on downwards
        const both = bytes[from++]
        pixels[n * 784 + y * 28 + x] = both >> 4
        pixels[n * 784 + (y + 1) * 28 + x] = both & 15
      }
  const labels = bytes.slice(8, 8 + total)
  const part = (a, b) => ({pixels: pixels.subarray(a * 784, b * 784), labels: labels.slice(a, b)})
  return {train: part(0, counts[0]), test: part(counts[0], total)}
}

/** Lay pixels into a batch, normalized as in the course: (share of white - 0.1307) / 0.3081. */
export function layPixels(x, to, pixels, which) {
  const from = which * 784
  for (let i = 0; i < 784; i++) x[to + i] = (pixels[from + i] / 15 - 0.1307) / 0.3081
}

/** Loss and accuracy of a network on digits; also what it takes each of them for. */
export class Examiner {
  constructor(maps, digits) {
    this.digits = digits
    this.network = new Network(maps, 50)
    this.x = new Float64Array(50 * 784)
  }

  /** With `meansOf`, the mean over the means of batches of this size: the museum's mistake. */
  look(weights, meansOf) {
    const {network, digits, x} = this
    network.weights.set(weights)
    const total = digits.labels.length
    const predicted = new Uint8Array(total)
    const losses = new Float64Array(total)
    for (let from = 0; from < total; from += 50) {
      const count = Math.min(50, total - from)
      for (let n = 0; n < count; n++) layPixels(x, n * 784, digits.pixels, from + n)
      const labels = digits.labels.subarray(from, from + count)
      network.forward(x, labels, count)
      predicted.set(network.predicted.subarray(0, count), from)
      losses.set(network.losses.subarray(0, count), from)
    }
    const size = meansOf || total
    const means = {loss: [], acc: []}
    for (let from = 0; from < total; from += size) {
      const to = Math.min(from + size, total)
      let loss = 0
      let right = 0
      for (let n = from; n < to; n++) {
        loss += losses[n]
        right += predicted[n] === digits.labels[n] ? 1 : 0
      }
      means.loss.push(loss / (to - from))
      means.acc.push(right / (to - from))
    }
    const mean = (all) => all.reduce((sum, one) => sum + one, 0) / all.length
    return {loss: mean(means.loss), acc: mean(means.acc), predicted}
  }
}

/** One training, batch by batch. */
export class Run {
  constructor(settings, digits) {
    this.settings = settings
    this.digits = digits
    this.total = Math.min(settings.digits, digits.labels.length)
    this.size = Math.min(settings.batch, this.total)
    this.stepsPerEpoch = Math.ceil(this.total / this.size)
    this.network = new Network(settings.size.split(" + ").map(Number), this.size)
    this.network.draw(randomNumbers(settings.seed, 0))
    this.x = new Float64Array(this.size * 784)
    this.y = new Uint8Array(this.size)
    this.labels = digits.labels.slice(0, this.total)
    if (this.has("shuffled labels")) {
      const places = this.shuffled(randomNumbers(settings.seed, 1))
      this.labels = Uint8Array.from(places, (place) => digits.labels[place])
    }
    this.step = 0 // batches done
    this.count = 0 // digits in the last batch
    this.batchLoss = Number.NaN // of the last batch, before its step
    this.diverged = false
    this.part = this.sums() // since the last mark
    this.whole = this.sums() // since the epoch began
  }

  has(bug) {
    return this.settings.bugs.includes(bug)
  }

  sums() {
    return {loss: 0, right: 0, digits: 0, lossMeans: 0, accMeans: 0, batches: 0}
  }

  /** The numbers below `total`, in an order by chance (Fisher and Yates). */
  shuffled(random) {
    const order = Int32Array.from({length: this.total}, (_, i) => i)
    for (let i = this.total - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1))
      const kept = order[i]
      order[i] = order[j]
      order[j] = kept
    }
    return order
  }

  get epoch() {
    return Math.floor(this.step / this.stepsPerEpoch)
  }

  get finished() {
    return this.diverged || this.step >= this.stepsPerEpoch * this.settings.epochs
  }

  /** The learning rate of an epoch, with the museum's bug where it is on. */
  rate(epoch) {
    const {schedule, lr, epochs} = this.settings
    return scheduledRate(schedule, lr * (this.has("lr x 100") ? 100 : 1), epoch, epochs)
  }

  /** The order of an epoch. It depends on seed and epoch alone, so that one can go back. */
  order(epoch) {
    if (this.orderOf === epoch) return this.kept
    if (this.has("sorted digits")) {
      const {labels} = this.digits
      this.kept = Int32Array.from({length: this.total}, (_, i) => i).sort(
        (a, b) => labels[a] - labels[b] || a - b,
      )
    } else this.kept = this.shuffled(randomNumbers(this.settings.seed, 2 + epoch))
    this.orderOf = epoch
    return this.kept
  }

  /** Lay the batch of a step on the table. */
  deal(step) {
    const order = this.order(Math.floor(step / this.stepsPerEpoch))
    const from = (step % this.stepsPerEpoch) * this.size
    this.count = Math.min(this.size, this.total - from)
    for (let n = 0; n < this.count; n++) {
      layPixels(this.x, n * 784, this.digits.pixels, order[from + n])
      this.y[n] = this.labels[order[from + n]]
    }
  }

  /** Forward, backward, step: one batch. */
  advance() {
    const {network, settings} = this
    const epoch = this.epoch
    if (this.step % this.stepsPerEpoch === 0) this.whole = this.sums()
    this.deal(this.step)
    network.forward(this.x, this.y, this.count)
    if (!this.has("no zero_grad")) network.grads.fill(0)
    network.backward(this.x, this.y, this.count)
    const sound = network.step(this.rate(epoch), settings.momentum, settings.decay)
    this.batchLoss = network.loss
    this.diverged = !sound || !Number.isFinite(network.loss)
    this.step += 1
    for (const sums of [this.part, this.whole]) {
      sums.loss += network.loss * this.count
      sums.right += network.right
      sums.digits += this.count
      sums.lossMeans += network.loss
      sums.accMeans += network.right / this.count
      sums.batches += 1
    }
  }

  /** Mean loss and accuracy out of sums; with the museum's bug, over the batches' means. */
  means(sums) {
    return this.has("mean of means")
      ? {loss: sums.lossMeans / sums.batches, acc: sums.accMeans / sums.batches}
      : {loss: sums.loss / sums.digits, acc: sums.right / sums.digits}
  }

  /** All that it takes to come back to this moment. */
  snapshot() {
    const {step, part, whole, batchLoss, diverged, count} = this
    const {weights, velocity, grads} = this.network
    return {
      ...{step, batchLoss, diverged, count, part: {...part}, whole: {...whole}},
      ...{weights: weights.slice(), velocity: velocity.slice(), grads: grads.slice()},
    }
  }

  restore(kept) {
    const {step, batchLoss, diverged, count} = kept
    Object.assign(this, {step, batchLoss, diverged, count})
    Object.assign(this, {part: {...kept.part}, whole: {...kept.whole}})
    this.network.weights.set(kept.weights)
    this.network.velocity.set(kept.velocity)
    this.network.grads.set(kept.grads)
  }
}
