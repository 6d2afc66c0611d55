// The explorer of shapes on a page without a kernel: its values stand beside it in shapes.json.

import {PageModel} from "./page_model.js"
import {render} from "./shapes.js"

/** Put the explorer into an element; the model, so that a page can watch its values. */
export async function start(el) {
  try {
    const answer = await fetch(new URL("shapes.json", import.meta.url))
    if (!answer.ok) throw new Error(`shapes.json: ${answer.status}`)
    const model = new PageModel(await answer.json())
    el.replaceChildren()
    render({model, el})
    return model
  } catch (error) {
    const advice = "Open this page over http, from a server."
    el.textContent = `The explorer could not be loaded (${error.message}). ${advice}`
    throw error
  }
}
