// The network of the course in plain JavaScript: conv1..conv4, fc1, fc2, with every layer's
// numbers on the way.

// name, outputs, inputs, kernel
export const LAYERS = [
  ["conv1", 32, 1, 3],
  ["conv2", 64, 32, 3],
  ["conv3", 128, 64, 3],
  ["conv4", 256, 128, 3],
  ["fc1", 50, 4096, 0],
  ["fc2", 10, 50, 0],
]
export const MEAN = 0.1307
export const STD = 0.3081

/** One half-precision number, given as its 16 bits. */
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? NaN : sign * Infinity
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** A look-up for all 65,536 half-precision numbers; made once, since each number costs a power. */
let halves = null
function halfTable() {
  if (!halves) {
    halves = new Float32Array(65536)
    for (let bits = 0; bits < 65536; bits++) halves[bits] = half(bits)
  }
  return halves
}

export const COUNT = LAYERS.reduce(
  (sum, [, out, into, k]) => sum + out * (into * (k * k || 1) + 1),
  0,
)
const OUTPUTS = LAYERS.reduce((sum, [, out]) => sum + out, 0)

/**
 * The weights from a file: for each layer its weight, then its bias. A file is either float16,
 * little endian, or packed: for each layer a float32 scale for each output, its biases as float32,
 * and its weights as int8, which are multiplied by the scale of their output.
 */
export function readWeights(buffer) {
  const packed = COUNT - OUTPUTS + 8 * OUTPUTS
  if (buffer.byteLength !== 2 * COUNT && buffer.byteLength !== packed)
    throw new Error(
      `The file of the weights is cut short or another network's: expected ${2 * COUNT} bytes of ` +
        `weights, got ${buffer.byteLength}.`,
    )
  const read = buffer.byteLength === packed ? readPacked(buffer) : readHalves(buffer)
  return Object.fromEntries(
    LAYERS.map(([name, out, into, k]) => [
      name,
      {out, into, k, ...read(out, out * into * (k * k || 1))},
    ]),
  )
}

function readHalves(buffer) {
  const table = halfTable()
  const bytes = new Uint8Array(buffer)
  let at = 0
  const take = (count) => {
    const values = new Float32Array(count)
    for (let i = 0; i < count; i++, at += 2) values[i] = table[bytes[at] | (bytes[at + 1] << 8)]
    return values
  }
  return (out, count) => ({weight: take(count), bias: take(out)})
}

function readPacked(buffer) {
  const view = new DataView(buffer)
  let at = 0
  const take = (count) =>
    Float32Array.from({length: count}, (_, i) => view.getFloat32(at + 4 * i, true))
  return (out, count) => {
    const scales = take(out)
    at += 4 * out
    const bias = take(out)
    at += 4 * out
    const bytes = new Int8Array(buffer, at, count)
    at += count
    const each = count / out
    const weight = new Float32Array(count)
    for (let o = 0, i = 0; o < out; o++)
      for (let end = i + each; i < end; i++) weight[i] = scales[o] * bytes[i]
    return {weight, bias}
  }
}

const BLOCK = 8 // kernels that are summed together: as many sums as a processor keeps at hand

/**
 * The weights of a convolution in the order in which `convolve` reads them: eight kernels side by
 * side, so that one number of the input meets all eight at one place in memory. As doubles, because
 * JavaScript would turn each single into one every time it's read.
 */
function sideBySide({out, into, k, weight}) {
  const each = into * k * k
  const packed = new Float64Array(out * each)
  for (let o = 0; o < out; o++) {
    const start = (o - (o % BLOCK)) * each + (o % BLOCK)
    for (let i = 0; i < each; i++) packed[start + BLOCK * i] = weight[o * each + i]
  }
  return packed
}

/** Weights of a dense layer, the other way round: all that one input is multiplied by, in a row. */
function byInput({out, into, weight}) {
  const packed = new Float64Array(out * into)
  for (let o = 0; o < out; o++)
    for (let i = 0; i < into; i++) packed[i * out + o] = weight[o * into + i]
  return packed
}

/** Room for what `convolve` notes on the way, made once for the largest layer. */
const ROOM = 24 * 24 * 32 * 9
const places = new Int32Array(ROOM) // where in the packed kernels the weights of a number begin
const numbers = new Float64Array(ROOM)
const starts = new Int32Array(26 * 26 + 1)

/**
 * A 3 x 3 convolution without padding, then ReLU.
 * input: (into, size, size) -> (out, size - 2, size - 2).
 *
 * After a ReLU, four numbers of five are 0, and 0 times a weight adds nothing. So each window is
 * written down first as a list of what's not 0 in it, and the kernels meet these lists only.
 */
function convolve(layer, input, size) {
  const {out, into, bias, packed} = layer
  const side = size - 2
  const area = side * side
  const output = new Float32Array(out * area)
  let count = 0
  for (let y = 0, place = 0; y < side; y++)
    for (let x = 0; x < side; x++, place++) {
      starts[place] = count
      for (let i = 0, at = y * size + x, k = 0; i < into; i++, at += size * size, k += 9 * BLOCK)
        for (let dy = 0, p = at, q = k; dy < 3; dy++, p += size, q += 3 * BLOCK) {
          const a = input[p]
          const b = input[p + 1]
          const c = input[p + 2]
          if (a !== 0) {
            places[count] = q
            numbers[count++] = a
          }
          if (b !== 0) {
            places[count] = q + BLOCK
            numbers[count++] = b
          }
          if (c !== 0) {
            places[count] = q + 2 * BLOCK
            numbers[count++] = c
          }
        }
    }
  starts[area] = count
  for (let o = 0; o < out; o += BLOCK) {
    const kernels = packed.subarray(o * into * 9, (o + BLOCK) * into * 9)
    for (let place = 0; place < area; place++) {
      let a = bias[o]
      let b = bias[o + 1]
      let c = bias[o + 2]
      let d = bias[o + 3]
      let e = bias[o + 4]
      let f = bias[o + 5]
      let g = bias[o + 6]
      let h = bias[o + 7]
      for (let i = starts[place], end = starts[place + 1]; i < end; i++) {
        const value = numbers[i]
        const k = places[i]
        a += value * kernels[k]
        b += value * kernels[k + 1]
        c += value * kernels[k + 2]
        d += value * kernels[k + 3]
        e += value * kernels[k + 4]
        f += value * kernels[k + 5]
        g += value * kernels[k + 6]
        h += value * kernels[k + 7]
      }
      const at = o * area + place
      if (a > 0) output[at] = a
      if (b > 0) output[at + area] = b
      if (c > 0) output[at + 2 * area] = c
      if (d > 0) output[at + 3 * area] = d
      if (e > 0) output[at + 4 * area] = e
      if (f > 0) output[at + 5 * area] = f
      if (g > 0) output[at + 6 * area] = g
      if (h > 0) output[at + 7 * area] = h
    }
  }
  return {shape: [out, side, side], data: output}
}

/** The largest of each 2 x 2 block. */
function maxPool(map) {
  const [channels, size] = map.shape
  const side = size >> 1
  const data = new Float32Array(channels * side * side)
  for (let c = 0, at = 0; c < channels; c++)
    for (let y = 0; y < side; y++)
      for (let x = 0; x < side; x++, at++) {
        const p = c * size * size + 2 * y * size + 2 * x
        data[at] = Math.max(
          map.data[p],
          map.data[p + 1],
          map.data[p + size],
          map.data[p + size + 1],
        )
      }
  return {shape: [channels, side, side], data}
}

/** Each output: a weight for every input, and a bias. What is 0 adds nothing. */
function linear({out, bias, packed}, input) {
  const sums = Float64Array.from(bias)
  for (let i = 0; i < input.length; i++) {
    const value = input[i]
    if (value !== 0) for (let o = 0, k = i * out; o < out; o++) sums[o] += value * packed[k + o]
  }
  return Float32Array.from(sums)
}

/** Ten scores as log-probabilities: each less the logarithm of the sum of all powers. */
export function logSoftmax(logits) {
  const highest = Math.max(...logits)
  const sum = logits.reduce((total, value) => total + Math.exp(value - highest), 0)
  return Array.from(logits, (value) => value - highest - Math.log(sum))
}

const MAPS = 128 // of conv3

/**
 * mnist_course.engine.predict.ReferenceStatistics from float32, little endian: ten means, the
 * whitening row by row, the coefficients. null for an empty buffer.
 */
export function readReference(buffer) {
  if (!buffer?.byteLength) return null
  const wanted = 4 * (10 * MAPS + MAPS * MAPS + 3)
  if (buffer.byteLength !== wanted)
    throw new Error(`expected ${wanted} bytes that say how digits look, got ${buffer.byteLength}`)
  const view = new DataView(buffer)
  const take = (start, count) =>
    Float32Array.from({length: count}, (_, i) => view.getFloat32(4 * (start + i), true))
  return {
    means: take(0, 10 * MAPS),
    whitening: take(10 * MAPS, MAPS * MAPS),
    coefficients: take((10 + MAPS) * MAPS, 3),
  }
}

/**
 * The OOD score: how unlike the training digits a picture is, from what Network.look gives; 1 is
 * the limit, null where nobody knows.
 */
export function oodScoreOf(seen, reference) {
  if (!reference) return null
  const {
    shape: [, rows, columns],
    data,
  } = seen.activations.conv3
  const area = rows * columns
  const fires = Float32Array.from(
    {length: MAPS},
    (_, c) => data.subarray(c * area, (c + 1) * area).reduce((sum, value) => sum + value, 0) / area,
  )
  let nearest = Infinity
  for (let digit = 0; digit < 10; digit++) {
    const whitened = new Float64Array(MAPS)
    for (let i = 0; i < MAPS; i++) {
      const off = fires[i] - reference.means[digit * MAPS + i]
      for (let j = 0; j < MAPS; j++) whitened[j] += off * reference.whitening[i * MAPS + j]
    }
    nearest = Math.min(nearest, Math.hypot(...whitened))
  }
  const highest = Math.max(...seen.logits)
  const energy =
    -highest - Math.log(seen.logits.reduce((sum, logit) => sum + Math.exp(logit - highest), 0))
  return (
    reference.coefficients[0] * nearest +
    reference.coefficients[1] * energy +
    reference.coefficients[2]
  )
}

/** Edges from top to bottom or from left to right, and the mean of what's around. */
export const KERNELS = {
  "Sobel, horizontal edges": [1, 2, 1, 0, 0, 0, -1, -2, -1],
  "Sobel, vertical edges": [1, 0, -1, 2, 0, -2, 1, 0, -1],
  "a blur": [1, 1, 1, 1, 1, 1, 1, 1, 1],
}

/** A layer in which one kernel is another one, each of its slices as strong as it was before. */
function withKernel(layer, map, kernel) {
  const {into} = layer
  const weight = layer.weight.slice()
  const wanted = KERNELS[kernel]
  for (let i = 0; i < into; i++) {
    const slice = weight.subarray((map * into + i) * 9, (map * into + i + 1) * 9)
    const scale = Math.hypot(...slice) / Math.hypot(...wanted)
    for (let j = 0; j < 9; j++) slice[j] = scale * wanted[j]
  }
  return {...layer, weight}
}

const packed = (layer) => ({...layer, packed: layer.k ? sideBySide(layer) : byInput(layer)})

/** The layers in their order; `look` can stop after each. */
export const STEPS = ["conv1", "conv2", "pool1", "conv3", "conv4", "pool2", "fc1", "fc2"]

export class Network {
  /** buffer: as readWeights takes it. */
  constructor(buffer) {
    this.layers = buffer ? readWeights(buffer) : {}
    for (const [name] of LAYERS) if (buffer) this.layers[name] = packed(this.layers[name])
    this.silent = {}
  }

  /**
   * The same network with changes: {kind: "silence", layer, map}, after which a map is 0
   * everywhere, or {kind: "swap", layer, map, kernel}, with one of KERNELS.
   */
  changed(edits) {
    const other = new Network(null)
    other.layers = {...this.layers}
    other.silent = Object.fromEntries(
      Object.entries(this.silent).map(([name, maps]) => [name, [...maps]]),
    )
    for (const {kind, layer, map, kernel} of edits)
      if (kind === "silence") other.silent[layer] = [...(other.silent[layer] ?? []), map]
      else other.layers[layer] = packed(withKernel(other.layers[layer], map, kernel))
    return other
  }

  /**
   * 28 x 28 bytes -> {probabilities, logits, activations}: each activation has a shape and its
   * numbers. With `last`, the name of a layer, it stops there: what nobody sees isn't computed.
   */
  look(page, last = "fc2") {
    const input = Float32Array.from(page, (byte) => (byte / 255 - MEAN) / STD)
    const a = {input: {shape: [1, 28, 28], data: input}}
    let before = a.input
    for (const name of STEPS) {
      const layer = this.layers[name]
      if (!layer) before = maxPool(before)
      else if (layer.k) before = convolve(layer, before.data, before.shape[1])
      else before = {shape: [layer.out], data: linear(layer, before.data)}
      if (name === "fc2") break
      if (name === "fc1") before.data = before.data.map((value) => Math.max(value, 0))
      const area = before.data.length / before.shape[0]
      for (const map of this.silent[name] ?? []) before.data.fill(0, map * area, (map + 1) * area)
      a[name] = before
      if (name === last) return {activations: a}
    }
    const logits = Array.from(before.data)
    return {logits, probabilities: logSoftmax(logits).map(Math.exp), activations: a}
  }
}
