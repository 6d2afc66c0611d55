// The page that anyone can open: the viewer, with the network's weights beside it and nobody behind
// it.

import {PageModel} from "./page_model.js"
import {render} from "./viewer.js"

async function bytes(name) {
  const answer = await fetch(new URL(name, import.meta.url))
  if (!answer.ok) throw new Error(`${name}: ${answer.status}`)
  return new DataView(await answer.arrayBuffer())
}

/** Put the viewer into an element; the model, so that a page can watch its values. */
export async function start(el) {
  try {
    const [weights, reference, samples] = await Promise.all(
      ["net.f16", "reference.f32", "samples.bin"].map(bytes),
    )
    const model = new PageModel({side: 280, weights, reference, samples, answer: {}, image: null})
    el.replaceChildren()
    render({model, el})
    return model
  } catch (error) {
    el.textContent =
      `The network could not be loaded (${error.message}). Open this page over http, from a ` +
      "server: a browser reads no weights from a bare file."
    throw error
  }
}
