// What a run leaves behind: a link, a History in JSON, and weights as safetensors.

import {readSettings} from "./trainer_run.js"

/** A run's settings as the fragment of a link: only what differs from how every run begins. */
export function toFragment(settings) {
  const usual = readSettings({}).settings
  const parts = new URLSearchParams()
  for (const [name, value] of Object.entries(settings)) {
    const text = Array.isArray(value) ? value.join(",") : String(value)
    if (text !== String(usual[name])) parts.set(name, text)
  }
  return parts.toString()
}

/** Settings from a fragment, checked; `refused` names what the link asked for in vain. */
export function fromFragment(fragment) {
  const usual = readSettings({}).settings
  const given = {}
  const unknown = []
  for (const [name, text] of new URLSearchParams(fragment.replace(/^#/, ""))) {
    if (!Object.hasOwn(usual, name)) unknown.push(name.slice(0, 20))
    else if (Array.isArray(usual[name])) given[name] = text ? text.split(",") : []
    else if (typeof usual[name] === "number") given[name] = text.trim() ? Number(text) : Number.NaN
    else given[name] = text
  }
  const {settings, refused} = readSettings(given)
  return {settings, refused: [...refused, ...unknown]}
}

/** The epochs that were trained and looked at, as mnist_course's History reads them. */
export function toHistory(settings, marks) {
  const ends = marks.filter((mark) => mark.ends && mark.test)
  const column = (value) => ends.map((mark) => (Number.isFinite(value(mark)) ? value(mark) : null))
  return {
    train_loss: column((mark) => mark.whole.loss),
    train_acc: column((mark) => mark.whole.acc),
    test_loss: column((mark) => mark.test.loss),
    test_acc: column((mark) => mark.test.acc),
    lr: column((mark) => mark.lr),
    seconds: column((mark) => mark.seconds),
    settings: {
      dataset: "MNIST, a sample in 16 grays",
      model: `mnist_course.widgets.trainer.TrainerNet(${settings.size.replace(" + ", ", ")})`,
      ...settings,
    },
  }
}

/** Weights as a safetensors file: the layers have the names and shapes of TrainerNet. */
export function toSafetensors(layers, weights, settings) {
  const header = {
    __metadata__: {
      format: "pt",
      model: `mnist_course.widgets.trainer.TrainerNet(${settings.size.replace(" + ", ", ")})`,
      settings: JSON.stringify(settings),
    },
  }
  for (const {name, shape, from, size} of layers)
    header[name] = {dtype: "F32", shape, data_offsets: [4 * from, 4 * (from + size)]}
  let text = JSON.stringify(header)
  text += " ".repeat((8 - (text.length % 8)) % 8)
  const start = 8 + text.length
  const bytes = new Uint8Array(start + 4 * weights.length)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, BigInt(text.length), true)
  bytes.set(new TextEncoder().encode(text), 8)
  weights.forEach((weight, i) => {
    view.setFloat32(start + 4 * i, weight, true)
  })
  return bytes
}
