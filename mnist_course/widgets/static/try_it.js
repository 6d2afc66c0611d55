// The page that anyone can open: the viewer, with the network's weights beside it, and nobody
// behind it.

import {startReader} from "./ask.js"
import {h} from "./common.js"
import {PageModel} from "./page_model.js"
import {render} from "./viewer.js"

/** A file beside the page. What goes wrong is said in words. */
async function bytes(name) {
  let answer
  try {
    answer = await fetch(new URL(name, document.baseURI))
  } catch {
    throw new Error(
      location.protocol === "file:"
        ? `${name} is beside this page, and a browser reads no files from a bare page. ` +
            "Open it over http, from a server."
        : `${name} didn't arrive: is the network down? Try again when you're online.`,
    )
  }
  if (!answer.ok) {
    const missing = answer.status === 404 ? "isn't on the server" : "couldn't be read"
    throw new Error(`${name} ${missing} (status ${answer.status}).`)
  }
  try {
    return new Uint8Array(await answer.arrayBuffer())
  } catch {
    throw new Error(`${name} broke off on the way. Load the page again.`)
  }
}

const view = (array) => new DataView(array.buffer)

/** The moments of training that the site has: the last one is the network itself. */
async function stopsOf() {
  try {
    const {stops} = JSON.parse(new TextDecoder().decode(await bytes("stops.json")))
    return stops.map((one) => ({
      ...one,
      load: one.file ? async () => (await bytes(one.file)).buffer : null,
    }))
  } catch {
    return []
  }
}

/** Put the viewer into an element; the model, so that a page can watch its values. */
export async function start(el) {
  const fault = (error) =>
    el.replaceChildren(
      h("p", {class: "mc", role: "alert"}, `The network could not be loaded. ${error.message}`),
    )
  const reader = startReader() // it starts while the weights are on their way
  try {
    const [weights, reference, samples, stops] = await Promise.all([
      ...["net.f16", "reference.f32", "samples.bin"].map(bytes),
      stopsOf(),
    ])
    const state = {side: 280, answer: {}, image: null, stops}
    const model = new PageModel({
      ...state,
      weights: view(weights),
      reference: view(reference),
      samples: view(samples),
    })
    el.replaceChildren()
    const stop = render({model, el, reader})
    await stop.ready
    return model
  } catch (error) {
    reader.end()
    fault(error)
    throw error
  }
}
