// What makes a page of the site alive: cards to guess on, and widgets that are fetched when they
// come near.

import {h} from "./common.js"
import {attachGuesses} from "./guess.js"
import {makeStore} from "./guess_store.js"
import {PageModel} from "./page_model.js"

const NEAR = "400px" // of the window: a widget that is so near is fetched

const bytes = (text) =>
  new DataView(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer)

/** A widget's values: bytes travel as {base64: ...}. */
function unpack(value) {
  if (typeof value?.base64 === "string") return bytes(value.base64)
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, unpack(part)]))
}

const scripts = new Map()

/** A plain script, once, and what it leaves under its name. */
function script(url, name) {
  if (!scripts.has(url))
    scripts.set(
      url,
      new Promise((resolve, reject) => {
        const element = h("script", {src: url})
        element.onload = () => resolve(globalThis.mnistCourse[name])
        element.onerror = () => reject(new Error(`${name} could not be fetched`))
        document.head.append(element)
      }),
    )
  return scripts.get(url)
}

/** A module of ours. From a bare file a browser reads none: there it is a plain script. */
const load = (name, here) =>
  location.protocol === "file:"
    ? script(`${here}file/${name}.js`, name)
    : import(new URL(`${name}.js`, here).href)

/** Put a widget into its place. */
async function wake(place, here) {
  const {live: name, own, state} = place.dataset
  const settings = JSON.parse(place.dataset.settings ?? "{}")
  const wait = place.querySelector(".ml-wait")
  try {
    const widget = await load(name, here)
    const values = state ? await script(`${here}${state}.js`, state) : {}
    const all = {here, ...unpack(values), ...settings}
    const el = h("div", {class: "ml-here"})
    wait?.before(el) // a widget reads its colours from the page that it stands on
    const files = new URL(`../${own}`, here).href // beside the widget's own page
    if (widget.attach) await widget.attach(el, settings, files)
    else widget.render({model: new PageModel(all), el})
    wait?.remove()
  } catch (error) {
    place.querySelector(".ml-here")?.remove()
    if (wait) wait.textContent = `This could not be loaded: ${error.message}.`
    throw error
  }
}

export function start(here) {
  const data = document.getElementById("ml-questions")
  const site = new URL("..", here).pathname
  if (data) attachGuesses(JSON.parse(data.textContent), (changed) => makeStore(site, changed))
  const places = document.querySelectorAll("[data-live]")
  for (const place of places) place.querySelector(".ml-wait")?.removeAttribute("hidden")
  if (!("IntersectionObserver" in window)) {
    for (const place of places) wake(place, here)
    return
  }
  const watcher = new IntersectionObserver(
    (entries) => {
      for (const {isIntersecting, target} of entries)
        if (isIntersecting) {
          watcher.unobserve(target)
          wake(target, here)
        }
    },
    {rootMargin: NEAR},
  )
  for (const place of places) watcher.observe(place)
}
