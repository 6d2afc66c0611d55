// What a visitor has guessed, kept in this browser alone. Where that is not allowed, it lasts as
// long as the page.

const VERSION = 1

/** Is this an entry that we wrote ourselves? */
function isGuess(one) {
  return (
    typeof one === "object" &&
    one !== null &&
    ["string", "number", "object"].includes(typeof one.value) &&
    one.value !== null &&
    one.sure >= 0 &&
    one.sure <= 1
  )
}

/**
 * The guesses of one site: two courses on one host keep theirs apart, by `path`. `changed` is
 * called when another window of the browser wrote some.
 */
export function makeStore(path, changed = () => {}) {
  const key = `mnist_course guesses ${VERSION} ${path}`
  let memory = {guesses: {}, open: false}
  const read = () => {
    try {
      const kept = JSON.parse(localStorage.getItem(key))
      const entries = Object.entries(kept?.guesses ?? {}).filter(([, one]) => isGuess(one))
      if (kept) memory = {guesses: Object.fromEntries(entries), open: kept.open === true}
    } catch {} // storage is denied, or holds what somebody else put there
    return memory
  }
  const write = (next) => {
    memory = next
    try {
      localStorage.setItem(key, JSON.stringify(next))
    } catch {} // denied, or full: it lasts as long as the page
  }
  window.addEventListener("storage", (event) => {
    if (event.key !== key && event.key !== null) return
    if (event.newValue === null) memory = {guesses: {}, open: false}
    changed()
  })
  return {
    all: () => read().guesses,
    get: (id) => (Object.hasOwn(read().guesses, id) ? memory.guesses[id] : undefined),
    put: (id, guess) => write({...read(), guesses: {...memory.guesses, [id]: guess}}),
    forget: (id) => {
      const {[id]: _, ...rest} = read().guesses
      write({...memory, guesses: rest})
    },
    /** Are answers shown without a guess? */
    isOpen: () => read().open,
    setOpen: (open) => write({...read(), open}),
    clear: () => write({guesses: {}, open: read().open}),
  }
}
