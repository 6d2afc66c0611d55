// A stand-in for the kernel's side of a widget, for pages that have no kernel: the same get, set
// and on as anywidget's model.

export class PageModel {
  constructor(state) {
    this.state = {...state}
    this.listeners = new Map()
  }

  get(name) {
    return this.state[name]
  }

  set(name, value) {
    if (this.state[name] === value) return
    this.state[name] = value
    for (const listener of this.listeners.get(`change:${name}`) ?? []) listener(this, value)
  }

  on(event, listener) {
    this.listeners.set(event, [...(this.listeners.get(event) ?? []), listener])
  }

  off(event, listener) {
    this.listeners.set(
      event,
      (this.listeners.get(event) ?? []).filter((other) => other !== listener),
    )
  }

  save_changes() {} // there is nobody to tell: set has told everyone
}
