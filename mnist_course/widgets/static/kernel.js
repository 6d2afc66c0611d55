// In a notebook, a widget lives as long as its kernel does. Jupyter marks what is left of it with a
// class; here it is said in words, with what to do.

const GONE = "jupyter-widgets-disconnected"
const WORDS =
  "The Python behind this is gone: the kernel was stopped or restarted. " +
  "Choose Run All Above Selected Cell from the Run menu, then run this cell again."

/** A widget's render that also says, above the widget, when nobody answers any more. */
export function withKernel(render) {
  return ({el, ...rest}) => {
    const end = render({el, ...rest})
    const note = document.createElement("p")
    note.className = "mc-gone"
    note.setAttribute("role", "status")
    note.hidden = true
    el.prepend(note)
    const look = () => {
      const gone = el.closest(`.${GONE}`) !== null
      if (gone === !note.hidden) return
      note.hidden = !gone
      note.textContent = gone ? WORDS : ""
    }
    const observer = new MutationObserver(look)
    observer.observe(el, {attributes: true, attributeFilter: ["class"]})
    look()
    return () => {
      observer.disconnect()
      end?.()
    }
  }
}
