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

/**
 * "98.2%", and never a certainty that isn't one: "100.0%" is exactly 1, "0.0%" exactly 0. The same
 * as mnist_course.engine.predict.percent.
 */
export function percent(share, decimals = 1) {
  const least = 10 ** -decimals
  const text = (100 * share).toFixed(decimals)
  if (Number(text) === 100 && share < 1) return `> ${(100 - least).toFixed(decimals)}%`
  return Number(text) === 0 && share > 0 ? `< ${least.toFixed(decimals)}%` : `${text}%`
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
