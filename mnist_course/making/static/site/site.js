// What a page does by itself: the switch for light and dark, the search, copying code, and the
// mark of where one reads. Without it everything can be read and every link works. It is no module:
// a browser runs those from a bare file only in part.
;(() => {
  const root = document.documentElement
  const script = /** @type {HTMLScriptElement} */ (document.currentScript)
  const up = script.dataset.root ?? ""
  const KEY = "mnist_course-scheme"

  /** @param {string} selector @returns {any} */
  const find = (selector) => document.querySelector(selector)

  /**
   * An element with attributes and children.
   * @param {string} tag
   * @param {Record<string, any>} given
   * @param {(Node | string)[]} children
   */
  function make(tag, given = {}, ...children) {
    const element = document.createElement(tag)
    for (const [name, value] of Object.entries(given)) element.setAttribute(name, value)
    element.append(...children)
    return element
  }

  // ---- light and dark: the system says, until the reader does

  const system = window.matchMedia("(prefers-color-scheme: dark)")

  function chosen() {
    try {
      return localStorage.getItem(KEY)
    } catch {
      return null
    }
  }

  /** @param {boolean} dark */
  function show(dark) {
    root.classList.toggle("quarto-dark", dark)
    root.classList.toggle("quarto-light", !dark)
    root.dispatchEvent(new CustomEvent("scheme", {bubbles: true}))
  }

  const isDark = () => root.classList.contains("quarto-dark")
  const switcher = find(".scheme-button")
  switcher.hidden = false
  switcher.addEventListener("click", () => {
    const dark = !isDark()
    show(dark)
    try {
      // who chooses what the system says follows the system again
      if (dark === system.matches) localStorage.removeItem(KEY)
      else localStorage.setItem(KEY, dark ? "dark" : "light")
    } catch {
      // a browser that keeps nothing: the choice holds for this page
    }
  })
  system.addEventListener("change", () => chosen() || show(system.matches))
  window.addEventListener("storage", (event) => {
    if (event.key === KEY) show(chosen() ? chosen() === "dark" : system.matches)
  })

  // ---- what scrolls can be reached by keyboard, and what doesn't is no stop on the way

  const boxes = [
    ...document.querySelectorAll("main pre, main .table-box, main math[display=block]"),
  ]
  const reach = () => {
    for (const box of boxes) {
      if (box.scrollWidth > box.clientWidth + 1) box.setAttribute("tabindex", "0")
      else box.removeAttribute("tabindex")
    }
  }
  reach()
  // a font, a picture or a window that comes late makes a box narrower, or what's in it wider
  const sizes = new ResizeObserver(reach)
  for (const box of boxes) for (const one of [box, ...box.children]) sizes.observe(one)
  window.addEventListener("toggle", reach, true)

  // ---- code can be copied

  if (navigator.clipboard) {
    for (const pre of document.querySelectorAll("main pre.code")) {
      const button = make("button", {class: "copy", type: "button"}, "copy")
      button.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(pre.textContent ?? "")
          button.textContent = "copied"
        } catch {
          button.textContent = "not allowed"
        }
        setTimeout(() => {
          button.textContent = "copy"
        }, 1500)
      })
      const holder = make("div", {class: "code-holder"})
      pre.replaceWith(holder)
      holder.append(pre, button)
    }
  }

  // ---- the list of sections marks the one on the screen

  const links = new Map(
    [...document.querySelectorAll(".here a")].map((link) => [
      decodeURIComponent(/** @type {HTMLAnchorElement} */ (link).hash.slice(1)),
      link,
    ]),
  )
  if (links.size) {
    const places = [...links.keys()].map((id) => document.getElementById(id)).filter((one) => one)
    const mark = () => {
      const passed = places.filter((one) => one && one.getBoundingClientRect().top < 140)
      const at = passed.at(-1)
      for (const [id, link] of links) link.classList.toggle("seen", id === at?.id)
    }
    let waiting = false
    window.addEventListener(
      "scroll",
      () => {
        if (!waiting) {
          requestAnimationFrame(() => {
            mark()
            waiting = false
          })
        }
        waiting = true
      },
      {passive: true},
    )
    mark()
  }
  const nav = find("#site-nav")
  const current = nav?.querySelector("[aria-current=page]:not(.only-narrow *)")
  if (current && nav.scrollHeight > nav.clientHeight) {
    nav.scrollTop = current.getBoundingClientRect().top - nav.getBoundingClientRect().top - 120
  }

  // ---- the search: sections, best first

  /** @typedef {[string, string, string, string, string[], number]} Entry */

  const KINDS = ["lesson", "practice", "teaching", "library", "answers", "workshop"]
  const MOST = 20
  /** @type {HTMLDialogElement | undefined} */
  let dialog

  /** The index comes with the first search. @returns {Promise<Entry[]>} */
  function index() {
    const known = /** @type {any} */ (window).courseIndex
    if (known) return Promise.resolve(known)
    return new Promise((resolve, reject) => {
      const loader = make("script", {src: `${up}assets/search-index.js`})
      loader.addEventListener("load", () => resolve(/** @type {any} */ (window).courseIndex))
      loader.addEventListener("error", () => reject(new Error("the index could not be loaded")))
      document.head.append(loader)
    })
  }

  const SMALL = new Set(
    [
      "a an and are can do does explain explains find for how i in is it lesson me mean means",
      "my of on or the to what when where which who why with you",
    ].flatMap((line) => line.split(" ")),
  )

  /** 18,496 is 18496. @param {string} text */
  const plain = (text) => text.toLowerCase().replace(/(\d),(?=\d{3}(?!\d))/g, "$1")

  /** The words of a query that say something, each without its plural. @param {string} query */
  function wordsOf(query) {
    const all = query.split(/[\s?!]+/).filter((word) => word)
    const said = all.filter((word) => !SMALL.has(word))
    return (said.length ? said : all).map((word) =>
      /^[a-z]{3,}[^s]s$/.test(word) ? word.slice(0, -1) : word,
    )
  }

  /**
   * How well a section answers, 0 if fewer than `least` of the words are in it.
   * @param {Entry} entry
   * @param {string} query
   * @param {string[]} words
   * @param {number} least
   */
  function score([, title, heading, text, explains, kind], query, words, least) {
    const name = plain(heading || title)
    const all = plain(`${title} ${heading} ${text}`)
    const found = words.filter((word) => all.includes(word)).length
    if (found < least) return 0
    let points = 10 - kind + 30 * (found - least)
    const core = words.join(" ")
    if (all.includes(query) || all.includes(core)) points += 10
    if (words.every((word) => name.includes(word))) points += 25
    if (name === query || name === core) points += 20
    // the lesson that earns a word, then the glossary
    if (explains.some((one) => one === query || one === core || one === `${core}s`))
      points += kind ? 40 : 90
    else if (explains.some((one) => one.endsWith(` ${core}`))) points += kind ? 15 : 30
    // the library comes first for names of code only, and how the course is made comes last
    if (kind === 3 && !/[_.()]/.test(query)) points -= 60
    if (kind === 5) points -= 40
    return points - (heading ? 0 : 2)
  }

  /**
   * What has all words; where nothing has, what has at least half of them.
   * @param {Entry[]} entries
   * @param {string} query
   */
  function best(entries, query) {
    const words = wordsOf(query)
    for (const least of [words.length, Math.ceil(words.length / 2)]) {
      const found = entries
        .map((entry) => ({entry, points: score(entry, query, words, least)}))
        .filter(({points}) => points !== 0)
        .sort((a, b) => b.points - a.points)
      if (found.length) return {found, all: least === words.length}
    }
    return {found: [], all: true}
  }

  /**
   * A piece of the text around the first hit, with the words marked.
   * @param {string} text
   * @param {string} query
   */
  function around(text, query) {
    const pattern = wordsOf(query)
      .map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\d(?=\d)/g, "$&,?"))
      .join("|")
    const whole = text.toLowerCase().indexOf(query)
    const at = Math.max(0, whole < 0 ? text.search(new RegExp(pattern, "i")) : whole)
    const start = at > 60 ? text.indexOf(" ", at - 60) + 1 : 0
    const piece = text.slice(start, start + 170)
    const line = make("span", {class: "part"})
    piece.split(new RegExp(`(${pattern})`, "i")).forEach((part, i) => {
      line.append(i % 2 ? make("mark", {}, part) : part)
    })
    return line
  }

  function openSearch() {
    if (dialog) {
      dialog.showModal()
      return
    }
    const input = /** @type {HTMLInputElement} */ (
      make("input", {
        type: "search",
        "aria-label": "Search the course",
        placeholder: "Search the course",
        autocomplete: "off",
        spellcheck: "false",
      })
    )
    const close = make("button", {class: "search-close", type: "button"}, "close")
    const said = make("p", {class: "search-said", role: "status"}, "Type a word, such as stride.")
    const list = make("ul", {class: "search-results"})
    dialog = /** @type {HTMLDialogElement} */ (
      make(
        "dialog",
        {class: "search", "aria-label": "Search"},
        make("div", {class: "search-row"}, input, close),
        said,
        list,
      )
    )
    document.body.append(dialog)
    close.addEventListener("click", () => dialog?.close())
    dialog.addEventListener("click", (event) => {
      if (event.target === dialog) dialog.close()
    })
    const look = async () => {
      const query = input.value.trim().toLowerCase()
      try {
        const entries = query ? await index() : /** @type {Entry[]} */ ([])
        if (query !== input.value.trim().toLowerCase()) return
        const {found, all} = best(entries, plain(query))
        const shown = found.slice(0, MOST)
        list.replaceChildren(
          ...shown.map(({entry: [address, title, heading, text, , kind]}) => {
            const from = heading ? `${title} · ${KINDS[kind]}` : KINDS[kind]
            const link = make(
              "a",
              {class: "search-result", href: up + address},
              make("b", {}, heading || title),
              make("span", {class: "from"}, from),
              around(text, plain(query)),
            )
            link.addEventListener("click", () => dialog?.close())
            return make("li", {}, link)
          }),
        )
        list.dataset.for = query
        const some = all ? "" : "Nothing has all of these words. Some of them: "
        const places = found.length === 1 ? "place" : "places"
        const more = found.length > MOST ? `, the best ${MOST} of them here` : ""
        said.textContent = query
          ? found.length
            ? `${some}${found.length} ${places}${more}`
            : "Nothing has any of these words."
          : "Type a word, such as stride."
      } catch (error) {
        said.textContent = `${/** @type {Error} */ (error).message}. Is the site complete?`
      }
    }
    input.addEventListener("input", look)
    dialog.addEventListener("keydown", (event) => {
      const stops = [input, .../** @type {NodeListOf<HTMLElement>} */ (list.querySelectorAll("a"))]
      const at = stops.indexOf(/** @type {any} */ (document.activeElement))
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault()
        stops[
          Math.max(0, Math.min(stops.length - 1, at + (event.key === "ArrowDown" ? 1 : -1)))
        ].focus()
      }
      if (event.key === "Enter" && document.activeElement === input) {
        list.querySelector("a")?.click()
      }
    })
    dialog.showModal()
  }

  const searcher = find(".search-button")
  searcher.hidden = false
  searcher.addEventListener("click", openSearch)
  document.addEventListener("keydown", (event) => {
    const at = /** @type {HTMLElement} */ (event.target)
    const typing = at.matches?.("input, textarea, select, [contenteditable]")
    const slash = event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey
    if (
      (slash && !typing) ||
      (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey))
    ) {
      event.preventDefault()
      openSearch()
    }
  })
})()
