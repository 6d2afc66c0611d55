// The stepper on a page without a kernel: its values stand beside it in stepper.json, pictures as
// base64.

import {PageModel} from "./page_model.js"
import {render} from "./stepper.js"

const bytes = (text) =>
  new DataView(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer)

/** Put the stepper into an element; the model, so that a page can watch its values. */
export async function start(el) {
  try {
    const answer = await fetch(new URL("stepper.json", import.meta.url))
    if (!answer.ok) throw new Error(`stepper.json: ${answer.status}`)
    const state = await answer.json()
    const model = new PageModel({
      ...state,
      image: bytes(state.image),
      samples: bytes(state.samples),
    })
    el.replaceChildren()
    render({model, el})
    return model
  } catch (error) {
    el.textContent =
      `The stepper could not be loaded (${error.message}). Open this page over http, from a ` +
      "server: a browser reads no other files from a bare file."
    throw error
  }
}
