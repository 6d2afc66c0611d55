// From a drawing to MNIST's 28 x 28: the same steps, with the same rounding, as in
// mnist_course.predict.

import {percent} from "./common.js"

const CONTRAST = 0.15
const LEVEL = Math.fround(0.2) // Python compares in float32 as well
const SURE = 0.8
const MOST_INK = 0.35
const CELLS = 28
const REACH = 5
const UNEVEN = 0.1
const GRAIN = 5
const FAINT = 0.03
const FINE = 56
const THERE = 64
const SPECK = 0.06
const THIN = 0.1
const WIDE = 1.05
const CLEARLY = 0.6

/** The four edges of a picture, each as a list; or of what's so many pixels inside. */
function edgesOf(values, height, width, depth = 0) {
  const column = (x) => {
    const list = new Float32Array(height - 2 * depth)
    for (let i = 0, at = depth * width + x; i < list.length; i++, at += width) list[i] = values[at]
    return list
  }
  const row = (y) => values.subarray(y * width + depth, (y + 1) * width - depth)
  return [row(depth), row(height - 1 - depth), column(depth), column(width - 1 - depth)]
}

/** The four edges in one list. */
function frameOf(values, height, width, depth = 0) {
  const edges = edgesOf(values, height, width, depth)
  const list = new Float32Array(edges.reduce((sum, edge) => sum + edge.length, 0))
  let at = 0
  for (const edge of edges) {
    list.set(edge, at)
    at += edge.length
  }
  return list
}

/** The least and the largest number. Counted: `of` is slow until a browser knows the loop. */
function rangeOf(values) {
  let low = Infinity
  let high = -Infinity
  for (let i = 0; i < values.length; i++) {
    if (values[i] < low) low = values[i]
    if (values[i] > high) high = values[i]
  }
  return [low, high]
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
  // plain paper, as most edges are, needs no sorting
  if (values.every((value) => value === values[0])) return values[0]
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

/** The least contrast that can be ink, from what changes along the frame; at most CONTRAST. */
function faintest(grey, height, width) {
  const steps = edgesOf(grey, height, width).flatMap((edge) =>
    [...edge.subarray(1)].map((value, i) => Math.abs(value - edge[i])),
  )
  const noise = steps.length ? (1.4826 * median(steps)) / Math.SQRT2 : 0
  return Math.min(Math.max(FAINT, 8 * noise), CONTRAST)
}

/**
 * How much ink each pixel has, 0 to 1. grey: 0 to 1, light or dark paper, which is what most of the
 * frame shows. With less contrast than the given one, there is none.
 */
export function toInk(grey, height, width, contrast = CONTRAST) {
  const [low, high] = rangeOf(grey)
  const ink = new Float32Array(grey.length)
  if (high - low < contrast) return ink
  const edges = edgesOf(grey, height, width)
  const paper = median(frameOf(grey, height, width))
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
  if (most < contrast) return ink.fill(0)
  for (let i = 0; i < ink.length; i++) ink[i] /= most
  const grain = 1.4826 * median(frameOf(ink, height, width).map(Math.abs))
  const least = Math.fround(Math.min(GRAIN * grain, 0.5))
  for (let i = 0; i < ink.length; i++)
    ink[i] = ink[i] < least ? 0 : Math.min(Math.max(ink[i], 0), 1)
  return ink
}

/**
 * A part of a picture: rows and columns from .. to, ends excluded. It remembers where in the whole
 * picture it was.
 */
function part({data, width, top: above = 0, left: before = 0}, top, bottom, left, right) {
  const out = {data: new Float32Array((bottom - top) * (right - left))}
  out.top = above + top
  out.left = before + left
  out.height = bottom - top
  out.width = right - left
  for (let y = top; y < bottom; y++)
    out.data.set(data.subarray(y * width + left, y * width + right), (y - top) * out.width)
  return out
}

/** Cut off a line of one color along all four edges, up to a tenth of the picture. */
function withoutFrame(whole) {
  const [low, high] = rangeOf(whole.data)
  const contrast = high - low
  const like = (list, color) =>
    list.filter((value) => Math.abs(value - color) < 0.25 * contrast).length / list.length
  let picture = whole
  for (let turn = 0; turn < 3; turn++) {
    const short = Math.min(picture.height, picture.width)
    const depth = Math.floor(short / 10)
    const colors = Array.from({length: Math.min(depth + 3, (short + 1) >> 1)}, (_, i) =>
      median(frameOf(picture.data, picture.height, picture.width, i)),
    )
    const thick = colors.findIndex((color) => Math.abs(color - colors[0]) > 0.4 * contrast)
    if (contrast < CONTRAST || thick < 1) return picture
    const plain = edgesOf(picture.data, picture.height, picture.width).every(
      (edge) => like(edge, colors[0]) > 0.9,
    )
    if (thick > depth || !plain || 2 * thick + 5 > short) return picture
    const cut = thick + 1
    picture = part(picture, cut, picture.height - cut, cut, picture.width - cut)
    const paper = frameOf(picture.data, picture.height, picture.width)
    if (like(paper, median(paper)) < 0.7) return whole
  }
  return picture
}

/** The smallest box that holds all the ink. */
export function crop(ink, height, width, above = 0, before = 0) {
  let [top, bottom, left, right] = [height, -1, width, -1]
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      if (ink[y * width + x] > LEVEL) {
        top = Math.min(top, y)
        bottom = y
        left = Math.min(left, x)
        right = Math.max(right, x)
      }
  if (bottom < 0) return {data: ink, height, width, top: above, left: before}
  return part({data: ink, width, top: above, left: before}, top, bottom + 1, left, right + 1)
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

/** Where a digit goes on empty paper: its center of mass on the middle pixel, as far as it fits. */
function placeOf({data, height, width}, size) {
  let [mass, y, x] = [0, 0, 0]
  data.forEach((value, i) => {
    mass += value
    y += value * Math.floor(i / width)
    x += value * (i % width)
  })
  mass = Math.max(mass, 1)
  const top = Math.min(Math.max(roundEven(size / 2 - y / mass), 0), size - height)
  const left = Math.min(Math.max(roundEven(size / 2 - x / mass), 0), size - width)
  return {top, left}
}

/** Put the digit there. */
export function center(small, size = 28) {
  const {data, height, width} = small
  const {top, left} = placeOf(small, size)
  const page = new Uint8Array(size * size)
  for (let row = 0; row < height; row++)
    page.set(data.subarray(row * width, (row + 1) * width), (top + row) * size + left)
  return page
}

/** Ink that hangs together, at a corner too, from left to right, without the specks. */
function partsOf({data, height, width}) {
  const seen = new Uint8Array(data.length)
  const parts = []
  for (let start = 0; start < data.length; start++) {
    if (data[start] < THERE || seen[start]) continue
    const found = {top: height, bottom: 0, left: width, right: 0, pixels: 0}
    const waiting = [start]
    seen[start] = 1
    while (waiting.length) {
      const at = waiting.pop()
      const [y, x] = [Math.floor(at / width), at % width]
      found.top = Math.min(found.top, y)
      found.bottom = Math.max(found.bottom, y + 1)
      found.left = Math.min(found.left, x)
      found.right = Math.max(found.right, x + 1)
      found.pixels++
      for (let v = Math.max(y - 1, 0); v <= Math.min(y + 1, height - 1); v++)
        for (let u = Math.max(x - 1, 0); u <= Math.min(x + 1, width - 1); u++) {
          const next = v * width + u
          if (data[next] < THERE || seen[next]) continue
          seen[next] = 1
          waiting.push(next)
        }
    }
    parts.push({...found, height: found.bottom - found.top, width: found.right - found.left})
  }
  const least = SPECK * parts.reduce((sum, one) => sum + one.pixels, 0)
  return parts.filter((one) => one.pixels >= least).sort((a, b) => a.left - b.left)
}

/** A box around all of them. */
function joined(parts) {
  const box = {
    top: Math.min(...parts.map((one) => one.top)),
    bottom: Math.max(...parts.map((one) => one.bottom)),
    left: Math.min(...parts.map((one) => one.left)),
    right: Math.max(...parts.map((one) => one.right)),
  }
  return {...box, width: box.right - box.left}
}

/** The parts between lines that run below or above all of them, at least as long. */
function withoutLines(parts) {
  const isLine = (one) => one.height <= THIN * FINE && THIN * FINE < one.width
  const rest = parts.filter((one) => !isLine(one))
  if (!rest.length) return parts
  const inner = joined(rest)
  return parts.filter(
    (one) =>
      !isLine(one) || one.width < inner.width || (one.bottom > inner.top && one.top < inner.bottom),
  )
}

/** Does a line run along each side? Then it's a box, and not a round digit. */
function hasFourSides({data, height, width}) {
  const reach = Math.max(1, roundEven(0.5 * THIN * FINE))
  const there = (y, x) => data[y * width + x] >= THERE
  const share = (length, across, at) => {
    let count = 0
    for (let i = 0; i < length; i++) {
      let any = false
      for (let k = 0; k < Math.min(reach, across); k++) any ||= at(i, k)
      count += any
    }
    return count / length
  }
  const sides = [
    share(width, height, (i, k) => there(k, i)),
    share(width, height, (i, k) => there(height - 1 - k, i)),
    share(height, width, (i, k) => there(i, k)),
    share(height, width, (i, k) => there(i, width - 1 - k)),
  ]
  const ink = data.reduce((sum, value) => sum + (value >= THERE), 0) / data.length
  return Math.min(...sides) > 0.9 && ink < 0.6
}

/**
 * Cut away a box around the digit, and lines above or below it, that don't touch it: what's left,
 * and the same in FINE.
 */
function cutLines(box) {
  const fine = resize(box, FINE)
  const parts = partsOf(fine)
  const isAround = (one) => one.height === fine.height && one.width === fine.width
  const inside = parts.filter((one) => !isAround(one))
  const kept = inside.length && hasFourSides(fine) ? inside : withoutLines(parts)
  if (kept.length === parts.length) return {box, fine}
  const {top, bottom, left, right} = joined(kept)
  const scale = Math.max(box.height, box.width) / FINE
  const first = (place) => Math.max(0, Math.trunc((place - 1) * scale))
  const last = (place, most) => Math.min(Math.ceil((place + 1) * scale), most)
  const cut = part(box, first(top), last(bottom, box.height), first(left), last(right, box.width))
  const rest = crop(cut.data, cut.height, cut.width, cut.top, cut.left)
  return {box: rest, fine: resize(rest, FINE)}
}

/** "two digits" for parts side by side, "frame" for a box that touches what is inside, or "". */
function layoutOf(fine) {
  const parts = partsOf(fine)
  const tallest = Math.max(0, ...parts.map((one) => one.height))
  const tall = parts.filter((one) => one.height >= 0.5 * tallest)
  for (let i = 0; i + 1 < tall.length; i++) {
    const [one, other] = [tall[i], tall[i + 1]]
    const narrow = Math.min(one.width, other.width)
    const short = Math.min(one.height, other.height)
    const level = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top)
    if (one.right - other.left <= 0.25 * narrow && level >= 0.5 * short) return "two digits"
  }
  return hasFourSides(fine) ? "frame" : ""
}

/** What is left and right of the column with the least ink: two pages of 28 x 28, or none. */
function halvesOf(box) {
  const {data, height, width} = box
  if (width <= WIDE * height) return []
  const columns = new Float32Array(width)
  for (let i = 0; i < data.length; i++) columns[i % width] += data[i]
  let middle = Math.trunc(0.3 * width)
  for (let x = middle; x <= Math.trunc(0.7 * width); x++)
    if (columns[x] < columns[middle]) middle = x
  const pages = []
  for (const [left, right] of [
    [0, middle],
    [middle, width],
  ]) {
    const half = part(box, 0, height, left, right)
    const most = Math.max(...columns.subarray(left, right))
    const inner = crop(half.data, height, right - left)
    const empty = !half.data.some((value) => value > LEVEL)
    if (empty || inner.height <= 0.5 * height || columns[middle] > 0.5 * most) return []
    pages.push(center(resize(inner)))
  }
  return pages
}

/**
 * Are these surely digits, each of its own? read: from a page to its probabilities and OOD score.
 */
export function areDigits(pages, read) {
  const answers = pages.map(read)
  return (
    answers.length > 0 &&
    answers.every(
      ({probabilities, oodScore}) =>
        oodScore !== null && Math.max(...probabilities) >= SURE && oodScore <= CLEARLY,
    )
  )
}

/**
 * A drawing, bytes from 0 (paper) to 255 (ink) -> page, 28 x 28 bytes; seen, what stands out before
 * the network has a look; halves, two pages where it may be two digits that touch; and where on the
 * drawing the page lies: the drawing's pixel at its upper left corner, and how many of them one
 * pixel of the page is wide.
 */
export function examine(bytes, height, width) {
  const drawn = new Float32Array(bytes.length)
  for (let i = 0; i < drawn.length; i++) drawn[i] = bytes[i] / 255
  const grey = withoutFrame({data: drawn, height, width})
  let ink = toInk(grey.data, grey.height, grey.width)
  const pale = !ink.some((value) => value > 0)
  if (pale)
    ink = toInk(grey.data, grey.height, grey.width, faintest(grey.data, grey.height, grey.width))
  const {box, fine} = cutLines(crop(ink, grey.height, grey.width, grey.top, grey.left))
  const seen = pale ? "pale" : layoutOf(fine)
  const small = resize(box)
  const {top, left} = placeOf(small, 28)
  const step = Math.max(box.height, box.width) / Math.max(small.height, small.width)
  const place = {top: box.top - step * top, left: box.left - step * left, step}
  return {page: center(small), seen, halves: seen ? [] : halvesOf(box), place}
}

/** A drawing, bytes from 0 (paper) to 255 (ink) -> 28 x 28 bytes. */
export function prepare(bytes, height, width) {
  return examine(bytes, height, width).page
}

/**
 * An answer in words, or a doubt with its reason, as mnist_course.engine.predict.judge.
 * oodScore: null where unknown. seen: "pale", "frame" or "two digits", or "".
 */
export function judge(probabilities, page, oodScore = null, seen = "") {
  const order = probabilities
    .map((_, digit) => digit)
    .sort((a, b) => probabilities[b] - probabilities[a])
  const [label, second] = order
  const ink = page.reduce((sum, byte) => sum + byte, 0) / (255 * page.length)
  const whole = (value) => percent(value, 0)
  let reason = ""
  let message = `${label} (${percent(probabilities[label])})`
  if (ink === 0) {
    reason = "blank"
    message = "blank: there is no ink on this paper"
  } else if (seen === "pale") {
    reason = "pale"
    message =
      oodScore !== null && oodScore > 1
        ? "blank, or too pale to read"
        : `too pale to be sure: perhaps ${label} (${whole(probabilities[label])}); draw it darker`
  } else if (seen === "frame") {
    const perhaps = `${label} (${whole(probabilities[label])})`
    reason = "frame"
    message = `is there a frame around it? Cut it off; with it, perhaps ${perhaps}`
  } else if (seen === "two digits") {
    reason = "two digits"
    message = "two digits side by side? Give them one at a time"
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
