// Light or dark, as it was chosen on the site's other pages, or else as the system has it. Runs
// before anything is drawn.
;(() => {
  const root = document.documentElement
  // by what renders the site: our own frame, Quarto, smalldocs
  const KEYS = ["mnist_course-scheme", "quarto-color-scheme", "smalldocs-scheme"]
  const DARK = ["dark", "alternate"]
  const system = matchMedia("(prefers-color-scheme: dark)")
  const chosen = () => {
    try {
      return KEYS.map((key) => localStorage.getItem(key)).find((value) => value !== null)
    } catch {
      return undefined // a browser that keeps nothing
    }
  }
  const isDark = () => {
    const value = chosen()
    return value === undefined ? system.matches : DARK.includes(value)
  }
  const show = () => {
    if (document.querySelector(".site-bar")) return // the frame has a switch of its own
    root.classList.toggle("quarto-dark", isDark())
    root.classList.toggle("quarto-light", !isDark())
  }
  show()
  system.addEventListener("change", show)
  addEventListener("storage", show) // chosen in another window
  addEventListener("pageshow", show)
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.(".mc-scheme")) return
    const dark = !isDark()
    try {
      for (const key of KEYS)
        localStorage.setItem(
          key,
          key === KEYS[0] ? (dark ? "dark" : "light") : dark ? DARK[1] : "default",
        )
    } catch {}
    root.classList.toggle("quarto-dark", dark)
    root.classList.toggle("quarto-light", !dark)
  })
})()
