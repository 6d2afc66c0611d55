// The arithmetic of a kernel that slides over an image: a patch, its products, their sum, and the
// map of all sums.

/** How many places a kernel has along one direction. */
export function places(size, kernelSize, stride, padding) {
  return Math.floor((size + 2 * padding - kernelSize) / stride) + 1
}

/**
 * Rows and columns of the map that a kernel (rows of numbers) makes of an image
 * ({pixels, height, width}).
 */
export function mapSize({height, width}, kernel, {stride = 1, padding = 0} = {}) {
  return [
    places(height, kernel.length, stride, padding),
    places(width, kernel[0].length, stride, padding),
  ]
}

/**
 * One place, [row, column] of the map: the patch, which of its pixels belong to the border, the
 * products, their sum, and what stands in the map.
 */
export function step(
  {pixels, height, width},
  kernel,
  [row, column],
  {stride = 1, padding = 0, bias = 0, relu = false} = {},
) {
  const [top, left] = [row * stride - padding, column * stride - padding]
  const border = kernel.map((line, i) =>
    line.map((_, j) => top + i < 0 || top + i >= height || left + j < 0 || left + j >= width),
  )
  const patch = kernel.map((line, i) =>
    line.map((_, j) => (border[i][j] ? 0 : pixels[(top + i) * width + left + j])),
  )
  const products = kernel.map((line, i) => line.map((number, j) => number * patch[i][j]))
  const sum = products.flat().reduce((total, product) => total + product, 0)
  return {patch, border, products, sum, output: relu ? Math.max(0, sum + bias) : sum + bias}
}

/** Every place: the map, row by row. */
export function slide(
  {pixels, height, width},
  kernel,
  {stride = 1, padding = 0, bias = 0, relu = false} = {},
) {
  const [rows, columns] = mapSize({height, width}, kernel, {stride, padding})
  const values = new Float64Array(rows * columns)
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      let sum = bias
      for (let i = 0; i < kernel.length; i++) {
        const y = row * stride - padding + i
        if (y < 0 || y >= height) continue
        for (let j = 0; j < kernel[i].length; j++) {
          const x = column * stride - padding + j
          if (x >= 0 && x < width) sum += kernel[i][j] * pixels[y * width + x]
        }
      }
      values[row * columns + column] = relu ? Math.max(0, sum) : sum
    }
  return {rows, columns, values}
}

/** The nearest place inside a map. */
export function inside([row, column], [rows, columns]) {
  return [Math.min(Math.max(row, 0), rows - 1), Math.min(Math.max(column, 0), columns - 1)]
}

/** Where a key leads, or null when it leads nowhere. */
export function moved(key, large, [row, column], [rows, columns]) {
  const far = large ? 5 : 1
  const next = {
    ArrowUp: [row - far, column],
    ArrowDown: [row + far, column],
    ArrowLeft: [row, column - far],
    ArrowRight: [row, column + far],
    Home: [row, 0],
    End: [row, columns - 1],
    PageUp: [0, column],
    PageDown: [rows - 1, column],
  }[key]
  return next ? inside(next, [rows, columns]) : null
}

/** The place after this one, in the order in which one reads; the first one after the last. */
export function following([row, column], [rows, columns]) {
  const next = (row * columns + column + 1) % (rows * columns)
  return [Math.floor(next / columns), next % columns]
}

/**
 * The place where the kernel lies as nearly as possible on the same pixels, after size, stride or
 * padding have changed.
 */
export function kept(place, before, after, size) {
  const middle = (index) => index * before.stride - before.padding + before.kernel.length / 2
  const index = (pixel) =>
    Math.round((pixel - after.kernel.length / 2 + after.padding) / after.stride)
  return inside(
    place.map((number) => index(middle(number))),
    mapSize({height: size, width: size}, after.kernel, after),
  )
}

/** A kernel of another size: zeros around it, or its middle. */
export function resized(kernel, size) {
  const shift = (size - kernel.length) / 2
  return Array.from({length: size}, (_, i) =>
    Array.from({length: size}, (_, j) => kernel[i - shift]?.[j - shift] ?? 0),
  )
}

// The colours of matplotlib's PuOr, as in the lessons' pictures: orange below 0, white at 0, purple
// above
const COLOURS = [
  [127, 59, 8],
  [179, 88, 6],
  [224, 130, 20],
  [253, 184, 99],
  [254, 224, 182],
  [247, 247, 247],
  [216, 218, 235],
  [178, 171, 210],
  [128, 115, 172],
  [84, 39, 136],
  [45, 0, 75],
]

/** Red, green and blue for a number from -1 to 1. */
export function diverging(share) {
  const at = 5 + 5 * Math.min(Math.max(share, -1), 1)
  const low = Math.min(Math.floor(at), 9)
  return COLOURS[low].map((from, i) => from + (at - low) * (COLOURS[low + 1][i] - from))
}

/** Black or white, whichever can be read on a colour. */
export function readable(colour) {
  const [r, g, b] = colour.map((value) =>
    value <= 10.3 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4,
  )
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff"
}
