// Everything that computes, away from the page: in a worker, or where a browser has none, beside
// it. It keeps the networks and what they saw last, and answers one message at a time.

import {speakersOf, takeApart} from "./anatomy.js"
import {COUNT, Network, oodScoreOf, readReference} from "./cnn.js"
import {areDigits, examine, judge} from "./prepare.js"

/** "fc1" and "pool2" are needed for an answer's parts; the rest only where it's looked at. */
export class Reader {
  constructor() {
    this.stops = new Map() // networks at several moments of their training
    this.edits = []
    this.seen = null
  }

  /** The network itself, and how digits look to it, as cnn.js reads them. */
  load({weights, reference}) {
    this.trained = new Network(weights)
    this.reference = readReference(reference)
    this.network = this.trained
    return {}
  }

  /** The network as it was at another moment. */
  addStop({name, weights}) {
    this.stops.set(name, new Network(weights))
    return {}
  }

  /** Read with the network of a stop, or with the trained one, and with some changes made. */
  use({stop = null, edits = []}) {
    this.base = stop === null ? this.trained : this.stops.get(stop)
    this.edits = edits
    this.network = edits.length ? this.base.changed(edits) : this.base
    return {}
  }

  /**
   * Look at a stroke that nobody drew, so that the browser has these loops at its fingertips when
   * the first real one comes. Before the weights are here, with others: 2 ** -7 each.
   */
  warm() {
    const network = this.trained ?? new Network(new Uint16Array(COUNT).fill(0x2000).buffer)
    const drawing = new Uint8Array(280 * 280)
    for (let y = 60; y < 220; y++) drawing.fill(255, 280 * y + 130, 280 * y + 150)
    network.look(examine(drawing, 280, 280).page)
    return {}
  }

  /** Look at a drawing: the answer, and every number on the way to it. */
  look({image, side}) {
    const start = performance.now()
    if (image)
      this.drawing = {...examine(image, side, side), blank: !image.some((byte) => byte > 0)}
    const {page, seen: remark, halves, place, blank} = this.drawing
    const network = this.network
    const seen = network.look(page)
    this.seen = {...seen, page}
    // how digits look is known for the network that was trained, as it is
    const known = network === this.trained ? this.reference : null
    const read = (half) => {
      const answer = network.look(half)
      return {probabilities: answer.probabilities, oodScore: oodScoreOf(answer, known)}
    }
    const told = known && areDigits(halves, read) ? "two digits" : remark
    const answer = judge(seen.probabilities, page, oodScoreOf(seen, known), told)
    if (this.edits.length && !blank) answer.before = this.base.look(page).probabilities
    return {
      answer,
      page,
      place,
      blank,
      activations: seen.activations,
      logits: seen.logits,
      milliseconds: performance.now() - start,
    }
  }

  /** What each network that is here says of the drawing. */
  compare() {
    const {page, blank} = this.drawing ?? {blank: true}
    if (blank) return {said: {}}
    const told = [...this.stops, [null, this.trained]].map(([name, network]) => {
      const {probabilities} = network.look(page)
      const label = probabilities.indexOf(Math.max(...probabilities))
      return [name ?? "", {label, probability: probabilities[label]}]
    })
    return {said: Object.fromEntries(told)}
  }

  takeApart(at) {
    return takeApart(this.network, this.seen, at)
  }

  speakers({digit, other}) {
    return speakersOf(this.network, this.seen, digit, other)
  }

  /** The kernels of conv1, which are pictures themselves. */
  kernels() {
    return {weight: Array.from(this.network.layers.conv1.weight)}
  }

  /** An answer to a message of the page: {number, kind, ...}. */
  answer({number, kind, ...data}) {
    try {
      return {number, value: this[kind](data)}
    } catch (error) {
      return {number, error: error.message}
    }
  }
}

if (typeof WorkerGlobalScope !== "undefined" && globalThis instanceof WorkerGlobalScope) {
  const reader = new Reader()
  globalThis.addEventListener("message", ({data}) => globalThis.postMessage(reader.answer(data)))
}
