// What every widget needs: elements, a region that speaks, colours, and a place for styles.

/**
 * Make an element: h("button", {type: "button", onclick: f}, "Clear").
 * Attributes that are functions become listeners.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value)
    else if (value !== false && value != null)
      element.setAttribute(name, value === true ? "" : value)
  }
  element.append(...children)
  return element
}

/** A region whose changes screen readers say aloud. */
export function liveRegion() {
  return h("p", {class: "mc-live", role: "status", "aria-live": "polite"})
}

/**
 * Ids that label and describe the elements of one widget, so that two of them on a page do not
 * share any.
 */
let widgets = 0
export function uniqueId(name) {
  widgets += 1
  return `mc-${name}-${widgets}`
}

/** "98.2 %", and never "100.0 %" for something less. */
export function percent(share) {
  const text = (100 * share).toFixed(1)
  return `${text === "100.0" && share < 1 ? "> 99.9" : text} %`
}

/**
 * Draw a map (values, height, width) on a canvas, one pixel a value: dark for the least, light for
 * the most. A power below 1 lifts the dark.
 */
export function paint(canvas, values, height, width, low, high, power = 1) {
  canvas.width = width
  canvas.height = height
  const context = canvas.getContext("2d")
  const picture = context.createImageData(width, height)
  const scale = high > low ? 1 / (high - low) : 0
  for (let i = 0; i < height * width; i++) {
    const grey = 255 * ((values[i] - low) * scale) ** power
    picture.data[4 * i] = picture.data[4 * i + 1] = picture.data[4 * i + 2] = grey
    picture.data[4 * i + 3] = 255
  }
  context.putImageData(picture, 0, 0)
}
