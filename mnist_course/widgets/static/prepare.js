// From a drawing to MNIST's 28 x 28: the same steps, with the same rounding, as in
// mnist_course.predict.

const CONTRAST = 0.15
const LEVEL = Math.fround(0.2) // Python compares in float32 as well
const SURE = 0.8
const MOST_INK = 0.35
const CELLS = 28
const REACH = 5
const UNEVEN = 0.1
const GRAIN = 5

/** The four edges of a picture, each as a list. */
function edgesOf(values, height, width) {
  const column = (x) => Float32Array.from({length: height}, (_, y) => values[y * width + x])
  return [
    values.subarray(0, width),
    values.subarray((height - 1) * width),
    column(0),
    column(width - 1),
  ]
}

/** Four parts of a list; the first ones are longer by one where it does not divide. */
function quarters(list) {
  const [size, more] = [list.length >> 2, list.length % 4]
  const start = (i) => i * size + Math.min(i, more)
  return [0, 1, 2, 3]
    .map((i) => list.subarray(start(i), start(i + 1)))
    .filter((part) => part.length)
}

function median(values) {
  const sorted = Float32Array.from(values).sort()
  const half = sorted.length >> 1
  return sorted.length % 2 ? sorted[half] : Math.fround((sorted[half - 1] + sorted[half]) / 2)
}

/**
 * Of each cell's surroundings the one number that `choose` makes of them; beyond the edge stands
 * the edge again.
 */
function around(cells, rows, columns, reach, choose) {
  const out = new Float32Array(cells.length)
  const inside = (i, n) => Math.min(Math.max(i, 0), n - 1)
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      const near = []
      for (let dy = -reach; dy <= reach; dy++)
        for (let dx = -reach; dx <= reach; dx++)
          near.push(cells[inside(y + dy, rows) * columns + inside(x + dx, columns)])
      out[y * columns + x] = choose(near)
    }
  return out
}

/**
 * Where a pixel lies between the middles of two cells: the first, the second, and how far it is on
 * the way.
 */
function between(pixel, size, cells) {
  const place = Math.min(Math.max((pixel + 0.5) / size - 0.5, 0), cells - 1)
  const first = Math.min(Math.floor(place), cells - 1)
  return [first, Math.min(first + 1, cells - 1), place - first]
}

/**
 * How light light paper would be at each place without ink: the lightest around, then the darkest
 * of those, smoothed.
 */
export function litPaper(light, height, width) {
  const size = Math.ceil(Math.max(height, width) / CELLS)
  const [rows, columns] = [Math.ceil(height / size), Math.ceil(width / size)]
  let cells = new Float32Array(rows * columns)
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      let [sum, count] = [0, 0]
      for (let v = y * size; v < Math.min((y + 1) * size, height); v++)
        for (let u = x * size; u < Math.min((x + 1) * size, width); u++, count++)
          sum += light[v * width + u]
      cells[y * columns + x] = sum / count
    }
  cells = around(cells, rows, columns, REACH, (near) => Math.max(...near))
  cells = around(cells, rows, columns, REACH, (near) => Math.min(...near))
  cells = around(
    cells,
    rows,
    columns,
    1,
    (near) => near.reduce((sum, value) => sum + value, 0) / near.length,
  )
  const paper = new Float32Array(height * width)
  for (let v = 0; v < height; v++) {
    const [top, bottom, down] = between(v, size, rows)
    for (let u = 0; u < width; u++) {
      const [left, right, across] = between(u, size, columns)
      const upper =
        cells[top * columns + left] * (1 - across) + cells[top * columns + right] * across
      const lower =
        cells[bottom * columns + left] * (1 - across) + cells[bottom * columns + right] * across
      paper[v * width + u] = upper * (1 - down) + lower * down
    }
  }
  return paper
}

/**
 * How much ink each pixel has, 0 to 1. grey: 0 to 1, light or dark paper, which is what most of the
 * frame shows.
 */
export function toInk(grey, height, width) {
  let low = Infinity
  let high = -Infinity
  for (let i = 0; i < grey.length; i++) {
    if (grey[i] < low) low = grey[i]
    if (grey[i] > high) high = grey[i]
  }
  const ink = new Float32Array(grey.length)
  if (high - low < CONTRAST) return ink
  const edges = edgesOf(grey, height, width)
  const paper = median(edges.flatMap((edge) => [...edge]))
  const light = paper > (low + high) / 2
  const parts = edges.flatMap((edge) => quarters(edge).map(median))
  const uneven = Math.max(...parts) - Math.min(...parts) > UNEVEN * (high - low)
  const lit = uneven && litPaper(light ? grey : grey.map((value) => 1 - value), height, width)
  let most = 0
  for (let i = 0; i < grey.length; i++) {
    const there = !lit ? paper : light ? lit[i] : Math.fround(1 - lit[i])
    ink[i] = light ? there - grey[i] : grey[i] - there
    most = Math.max(most, ink[i])
  }
  if (most < CONTRAST) return ink.fill(0)
  for (let i = 0; i < ink.length; i++) ink[i] /= most
  const grain =
    1.4826 * median(edgesOf(ink, height, width).flatMap((edge) => [...edge].map(Math.abs)))
  const least = Math.fround(Math.min(GRAIN * grain, 0.5))
  for (let i = 0; i < ink.length; i++)
    ink[i] = ink[i] < least ? 0 : Math.min(Math.max(ink[i], 0), 1)
  return ink
}

/** The smallest box that holds all the ink. */
export function crop(ink, height, width) {
  let [top, bottom, left, right] = [height, -1, width, -1]
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      if (ink[y * width + x] > LEVEL) {
        top = Math.min(top, y)
        bottom = y
        left = Math.min(left, x)
        right = Math.max(right, x)
      }
  if (bottom < 0) return {data: ink, height, width}
  const box = {height: bottom - top + 1, width: right - left + 1}
  const data = new Float32Array(box.height * box.width)
  for (let y = 0; y < box.height; y++)
    data.set(ink.subarray((top + y) * width + left, (top + y) * width + right + 1), y * box.width)
  return {data, ...box}
}

/** Python's round: a half goes to the even neighbour. */
export function roundEven(value) {
  const down = Math.floor(value)
  const rest = value - down
  return rest < 0.5 || (rest === 0.5 && down % 2 === 0) ? down : down + 1
}

/**
 * Weights of a triangle over the pixels that one new pixel covers, as Pillow's BILINEAR: integers
 * with 22 bits after the point.
 */
function triangles(before, after) {
  const scale = before / after
  const reach = Math.max(scale, 1)
  const table = []
  for (let i = 0; i < after; i++) {
    const centre = (i + 0.5) * scale
    const start = Math.max(Math.trunc(centre - reach + 0.5), 0)
    const end = Math.min(Math.trunc(centre + reach + 0.5), before)
    const weights = []
    for (let x = start; x < end; x++)
      weights.push(Math.max(1 - Math.abs((x - centre + 0.5) * (1 / reach)), 0))
    const sum = weights.reduce((total, weight) => total + weight, 0)
    table.push({
      start,
      weights: weights.map((weight) => Math.trunc((weight / sum) * 2 ** 22 + 0.5)),
    })
  }
  return table
}

/** Resize rows of bytes along one direction. */
function resizeRows(bytes, rows, before, after) {
  if (before === after) return bytes
  const table = triangles(before, after)
  const out = new Uint8Array(rows * after)
  for (let y = 0; y < rows; y++)
    for (let i = 0; i < after; i++) {
      const {start, weights} = table[i]
      let sum = 2 ** 21
      for (let k = 0; k < weights.length; k++) sum += weights[k] * bytes[y * before + start + k]
      out[y * after + i] = Math.min(Math.floor(sum / 2 ** 22), 255)
    }
  return out
}

function transpose(bytes, rows, columns) {
  const out = new Uint8Array(bytes.length)
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) out[x * rows + y] = bytes[y * columns + x]
  return out
}

/** Resize so that the longer side has `size` pixels; the darkest ink becomes 255. */
export function resize(box, size = 20) {
  const scale = size / Math.max(box.height, box.width)
  const width = Math.max(1, roundEven(box.width * scale))
  const height = Math.max(1, roundEven(box.height * scale))
  const bytes = new Uint8Array(box.data.length)
  for (let i = 0; i < bytes.length; i++) bytes[i] = roundEven(Math.fround(255 * box.data[i]))
  const wide = resizeRows(bytes, box.height, box.width, width)
  const small = transpose(
    resizeRows(transpose(wide, box.height, width), width, box.height, height),
    width,
    height,
  )
  const most = Math.max(1, ...small)
  return {data: small.map((value) => roundEven(value * (255 / most))), height, width}
}

/** Put the digit on empty paper, its center of mass on the middle pixel, as far as it fits. */
export function center(small, size = 28) {
  const {data, height, width} = small
  let [mass, y, x] = [0, 0, 0]
  data.forEach((value, i) => {
    mass += value
    y += value * Math.floor(i / width)
    x += value * (i % width)
  })
  mass = Math.max(mass, 1)
  const top = Math.min(Math.max(roundEven(size / 2 - y / mass), 0), size - height)
  const left = Math.min(Math.max(roundEven(size / 2 - x / mass), 0), size - width)
  const page = new Uint8Array(size * size)
  for (let row = 0; row < height; row++)
    page.set(data.subarray(row * width, (row + 1) * width), (top + row) * size + left)
  return page
}

/** A drawing, bytes from 0 (paper) to 255 (ink) -> 28 x 28 bytes. */
export function prepare(bytes, height, width) {
  const grey = new Float32Array(bytes.length)
  for (let i = 0; i < grey.length; i++) grey[i] = bytes[i] / 255
  const box = crop(toInk(grey, height, width), height, width)
  return center(resize(box))
}

/**
 * An answer in words, or a doubt with its reason, as mnist_course.engine.predict.judge.
 * oodScore: null where unknown.
 */
export function judge(probabilities, page, oodScore = null) {
  const order = probabilities
    .map((_, digit) => digit)
    .sort((a, b) => probabilities[b] - probabilities[a])
  const [label, second] = order
  const ink = page.reduce((sum, byte) => sum + byte, 0) / (255 * page.length)
  const whole = (value) => `${roundEven(100 * value)}%`
  let reason = ""
  let message = `${label} (${(100 * probabilities[label]).toFixed(1)}%)`
  if (ink === 0) {
    reason = "blank"
    message = "blank: there is no ink on this paper"
  } else if (ink > MOST_INK) {
    reason = "too much ink"
    message = `too much ink for a digit: ${whole(ink)} of the picture`
  } else if (oodScore !== null && oodScore > 1) {
    reason = "out of distribution"
    message = `unlike the digits it learned from; the nearest is ${label}`
  } else if (probabilities[label] < SURE) {
    const both = [label, second].map((digit) => `${digit} (${whole(probabilities[digit])})`)
    reason = "unsure"
    message = `not sure: perhaps ${both[0]}, or ${both[1]}`
  }
  return {
    label,
    probability: probabilities[label],
    probabilities,
    is_digit: !reason,
    reason,
    message,
    ood_score: oodScore,
  }
}
