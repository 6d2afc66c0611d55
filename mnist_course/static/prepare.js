// From a drawing to MNIST's 28 x 28: the same steps, with the same rounding, as mnist_course.predict.

const CONTRAST = 0.15
const LEVEL = Math.fround(0.2) // Python compares in float32 as well
const SURE = 0.8
const MOST_INK = 0.35

function median(values) {
  const sorted = Float32Array.from(values).sort()
  const half = sorted.length >> 1
  return sorted.length % 2 ? sorted[half] : Math.fround((sorted[half - 1] + sorted[half]) / 2)
}

/** How much ink each pixel has, 0 to 1. grey: 0 to 1, light or dark paper, which is what most of the frame shows. */
export function toInk(grey, height, width) {
  let low = Infinity
  let high = -Infinity
  for (let i = 0; i < grey.length; i++) {
    if (grey[i] < low) low = grey[i]
    if (grey[i] > high) high = grey[i]
  }
  const ink = new Float32Array(grey.length)
  if (high - low < CONTRAST) return ink
  const frame = [...grey.subarray(0, width), ...grey.subarray((height - 1) * width)]
  for (let y = 0; y < height; y++) frame.push(grey[y * width], grey[y * width + width - 1])
  const paper = median(frame)
  const light = paper > (low + high) / 2
  for (let i = 0; i < grey.length; i++) {
    const share = light ? (paper - grey[i]) / (paper - low) : (grey[i] - paper) / (high - paper)
    ink[i] = Math.min(Math.max(share, 0), 1)
  }
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
  for (let y = 0; y < box.height; y++) data.set(ink.subarray((top + y) * width + left, (top + y) * width + right + 1), y * box.width)
  return {data, ...box}
}

/** Python's round: a half goes to the even neighbour. */
export function roundEven(value) {
  const down = Math.floor(value)
  const rest = value - down
  return rest < 0.5 || (rest === 0.5 && down % 2 === 0) ? down : down + 1
}

/** Weights of a triangle over the pixels that one new pixel covers, as Pillow's BILINEAR: integers with 22 bits behind the point. */
function triangles(before, after) {
  const scale = before / after
  const reach = Math.max(scale, 1)
  const table = []
  for (let i = 0; i < after; i++) {
    const centre = (i + 0.5) * scale
    const start = Math.max(Math.trunc(centre - reach + 0.5), 0)
    const end = Math.min(Math.trunc(centre + reach + 0.5), before)
    const weights = []
    for (let x = start; x < end; x++) weights.push(Math.max(1 - Math.abs((x - centre + 0.5) * (1 / reach)), 0))
    const sum = weights.reduce((total, weight) => total + weight, 0)
    table.push({start, weights: weights.map((weight) => Math.trunc((weight / sum) * 2 ** 22 + 0.5))})
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
  for (let y = 0; y < rows; y++) for (let x = 0; x < columns; x++) out[x * rows + y] = bytes[y * columns + x]
  return out
}

/** Resize so that the longer side has `size` pixels; the darkest ink becomes 255. */
export function fit(box, size = 20) {
  const scale = size / Math.max(box.height, box.width)
  const width = Math.max(1, roundEven(box.width * scale))
  const height = Math.max(1, roundEven(box.height * scale))
  const bytes = new Uint8Array(box.data.length)
  for (let i = 0; i < bytes.length; i++) bytes[i] = roundEven(Math.fround(255 * box.data[i]))
  const wide = resizeRows(bytes, box.height, box.width, width)
  const small = transpose(resizeRows(transpose(wide, box.height, width), width, box.height, height), width, height)
  const most = Math.max(1, ...small)
  return {data: small.map((value) => roundEven(value * (255 / most))), height, width}
}

/** Put the digit on empty paper, its centre of mass on the middle pixel, as far as it fits. */
export function centre(small, size = 28) {
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
  for (let row = 0; row < height; row++) page.set(data.subarray(row * width, (row + 1) * width), (top + row) * size + left)
  return page
}

/** A drawing, bytes from 0 (paper) to 255 (ink) -> 28 x 28 bytes. */
export function prepare(bytes, height, width) {
  const grey = new Float32Array(bytes.length)
  for (let i = 0; i < grey.length; i++) grey[i] = bytes[i] / 255
  const box = crop(toInk(grey, height, width), height, width)
  return centre(fit(box))
}

/** An answer in words, or a doubt with its reason, as mnist_course.predict.judge. */
export function judge(probabilities, page) {
  const order = probabilities.map((_, digit) => digit).sort((a, b) => probabilities[b] - probabilities[a])
  const [label, second] = order
  const share = page.reduce((sum, byte) => sum + byte, 0) / (255 * page.length)
  const whole = (value) => `${roundEven(100 * value)}%`
  let doubt = ""
  if (share === 0) doubt = "blank: there is no ink on this paper"
  else if (share > MOST_INK) doubt = `too much ink for a digit: ${whole(share)} of the picture`
  else if (probabilities[label] < SURE) doubt = `not sure: perhaps ${label} (${whole(probabilities[label])}), or ${second} (${whole(probabilities[second])})`
  const message = doubt || `${label} (${(100 * probabilities[label]).toFixed(1)}%)`
  return {label, probability: probabilities[label], probabilities, is_digit: !doubt, message}
}
