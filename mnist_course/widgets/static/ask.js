// The way to the reader: a worker, so that no stroke ever waits for a sum. Where there can be none
// it computes on the page.

import {Reader} from "./reader.js"

/**
 * A function ask(kind, data) that promises what the reader answers, and `end`. Messages are
 * answered in their order.
 */
export function startReader() {
  const waiting = new Map() // messages without an answer yet
  const told = [] // what a reader that takes over has to know
  let count = 0
  let worker = null
  let local = null

  const arrived = ({number, value, error}) => {
    const asked = waiting.get(number)
    waiting.delete(number)
    if (error === undefined) asked?.resolve(value)
    else asked?.reject(new Error(error))
  }
  // a moment later, so that a stroke that is being drawn comes first
  const compute = (message) => setTimeout(() => arrived(local.answer(message)))
  const takeOver = () => {
    if (local) return
    worker?.terminate()
    worker = null
    local = new Reader()
    for (const message of told) if (!waiting.has(message.number)) local.answer(message)
    for (const {message} of waiting.values()) compute(message)
  }

  try {
    worker = new Worker(new URL("./reader.js", import.meta.url), {type: "module"})
    worker.onmessage = ({data}) => arrived(data)
    worker.onerror = (event) => {
      event.preventDefault()
      takeOver() // a page's rules may forbid workers, which shows only later
    }
  } catch {
    takeOver()
  }

  const ask = (kind, data = {}) =>
    new Promise((resolve, reject) => {
      count += 1
      const message = {...data, number: count, kind}
      waiting.set(count, {message, resolve, reject})
      if (["load", "addStop", "use", "look"].includes(kind)) {
        const old = told.findIndex((one) => one.kind === kind && kind !== "addStop")
        if (old >= 0) told.splice(old, 1)
        told.push(message)
      }
      if (local) compute(message)
      else worker.postMessage(message)
    })
  const end = () => worker?.terminate()
  return {ask, end, apart: () => worker !== null}
}
