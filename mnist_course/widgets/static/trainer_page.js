// The trainer on a page without a kernel. Bundled, this is a plain script: it starts from a bare
// file, and in any page that has an element with data-trainer.

import {h} from "./common.js"
import {PageModel} from "./page_model.js"
import {render} from "./trainer.js"
import {fromFragment} from "./trainer_files.js"
import {readSettings} from "./trainer_run.js"

const HERE = document.currentScript?.src ?? ""

/** The digits' bytes: unpacked from the script beside this one, which is loaded once a page. */
let digits = null
function loadDigits(base) {
  digits ??= new Promise((resolve, reject) => {
    const script = h("script", {
      src: new URL("trainer_digits.js", base).href,
      onload: resolve,
      onerror: () => reject(new Error("trainer_digits.js could not be read")),
    })
    document.head.append(script)
  }).then(async () => {
    const packed = Uint8Array.from(atob(globalThis.mnistCourseDigits), (c) => c.charCodeAt(0))
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"))
    return new DataView(await new Response(stream).arrayBuffer())
  })
  return digits
}

/**
 * Put the trainer into an element. Settings that it can't take are left out; `base` says where
 * trainer_digits.js is. What comes back is a promise of the model, which holds `settings` and
 * `curves`.
 */
export async function attach(element, given = {}, base = HERE || document.baseURI) {
  const {settings} = readSettings(given)
  try {
    const bytes = await loadDigits(base)
    const model = new PageModel({digits: bytes, settings, curves: {}, words: given.words ?? ""})
    element.replaceChildren()
    render({model, el: element})
    return model
  } catch (error) {
    digits = null
    element.textContent = `The trainer could not be started: ${error.message}. Is the network down?`
    throw error
  }
}

/** Start in each element with data-trainer; on the trainer's own page, with what the link says. */
export function startAll() {
  for (const element of document.querySelectorAll("[data-trainer]")) {
    const given = element.dataset.trainer ? JSON.parse(element.dataset.trainer) : {}
    if (element.dataset.link !== undefined && location.hash.length > 1) {
      const {settings, refused} = fromFragment(location.hash)
      Object.assign(given, settings)
      given.words = refused.length
        ? `The link asks for ${refused.join(", ")} in a way that isn't possible: the usual is used.`
        : "Somebody sent you a run. Press Train to see it again, number by number."
    }
    attach(element, given).then((model) => {
      globalThis.model = model
    })
  }
}

globalThis.mnistCourseTrainer = {attach}
if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", startAll)
else startAll()

export default {render}
