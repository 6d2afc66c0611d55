// A page of the site becomes a chapter on paper. This runs in the finished page, after its widgets
// were photographed: what can be pressed goes, and what is folded away becomes a note at the end.

/** The elements of a page, its drawings included, that match. */
const all = (root, selector) => [...root.querySelectorAll(selector)]

/** Ids of several pages meet in one book: here each gets its chapter's name in front. */
function renamed(main, key) {
  for (const element of all(main, "*"))
    for (const {name, value} of [...element.attributes]) {
      if (["id", "for", "aria-labelledby", "aria-describedby"].includes(name))
        element.setAttribute(
          name,
          value
            .trim()
            .split(/\s+/)
            .map((id) => `${key}-${id}`)
            .join(" "),
        )
      else if (value.includes("url(#"))
        element.setAttribute(name, value.replaceAll("url(#", `url(#${key}-`))
    }
}

/** Links inside the book lead to its pages, all others to the site that everybody can reach. */
function linked(main, chapters, site) {
  const here = new URL(".", document.baseURI).href
  for (const link of all(main, "a[href]")) {
    const url = new URL(link.getAttribute("href"), document.baseURI)
    if (!url.href.startsWith(here)) continue
    const page = url.pathname.slice(new URL(here).pathname.length)
    const other = chapters[page]
    const place = url.hash ? `-${url.hash.slice(1)}` : ""
    const outside = `${site}/${page}${url.hash}`
    link.setAttribute("href", other ? `#${other}${place}` : outside)
  }
  for (const image of all(main, "img")) image.src = new URL(image.getAttribute("src"), here).href
}

/** A style inside of a drawing is for this drawing alone. */
function scoped(main) {
  for (const style of all(main, "svg style"))
    style.textContent = `@scope {\n${style.textContent}\n}`
}

/** Folded code that shows nothing and builds nothing: imports. On paper nobody needs them. */
const plumbing = (fold) =>
  fold.matches(".code-fold") &&
  !fold.closest(".cell")?.querySelector(".cell-output") &&
  !/^(def|class) /m.test(fold.textContent)

/** Hints, answers and folded code, in the order of the page. In their places stands a number. */
function folded(main, key) {
  const notes = document.createElement("section")
  notes.className = "folded-notes"
  notes.innerHTML = `<h2 id="${key}-notes">Folded away</h2>`
  for (const fold of all(main, "details details")) {
    fold.querySelector("summary").remove()
    fold.replaceWith(...fold.childNodes)
  }
  for (const fold of all(main, "details").filter(plumbing)) fold.remove()
  all(main, "details").forEach((fold, i) => {
    const summary = fold.querySelector("summary")
    const code = fold.matches(".code-fold")
    const words = code ? summary.textContent.replace(/^Show the code/, "Code") : summary.innerHTML
    const note = document.createElement("div")
    note.className = "folded-note"
    note.id = `${key}-note-${i + 1}`
    const back = `<a href="#${key}-turn-${i + 1}">${i + 1}</a>`
    note.innerHTML = `<p class="note-title">${back} ${words}</p>`
    summary.remove()
    note.append(...fold.childNodes)
    notes.append(note)
    const turn = document.createElement("p")
    turn.className = "turn"
    turn.id = `${key}-turn-${i + 1}`
    turn.innerHTML = `${words} <a href="#${note.id}">note ${i + 1}</a>`
    fold.replaceWith(turn)
  })
  if (notes.children.length > 1) main.append(notes)
}

globalThis.printedChapter = ({key, chapters, site}) => {
  const main = document.querySelector("main")
  const gone = [
    ".next-pages, .anchor, .ml-checked, .source-link, .copy, .where",
    "script, link, noscript, button",
    "[data-answer-from], [data-look-back], [hidden]",
  ]
  for (const element of all(main, gone.join(","))) element.remove()
  for (const code of all(main, "pre code")) // where a call to guess was, an empty line is left
    if (code.firstChild?.nodeType === 3)
      code.firstChild.data = code.firstChild.data.replace(/^\n+/, "")
  scoped(main)
  linked(main, chapters, site)
  renamed(main, key)
  folded(main, key)
  const words = (selector) => main.querySelector(selector)?.textContent.trim() ?? ""
  const title = words("h1").replace(/\s+/g, " ")
  return {title, promise: words(".description"), html: main.innerHTML}
}
