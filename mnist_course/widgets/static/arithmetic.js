// The arithmetic of lesson 03, and PyTorch's words where it does not work out.
// No page is needed here: lists go in, rows come out.

import {SETTINGS} from "./arithmetic_settings.js"

export const KINDS = SETTINGS.KINDS
export const RANGES = SETTINGS.RANGES
export const MOST_LAYERS = SETTINGS.MOST_LAYERS
export const MOST = SETTINGS.MOST
const NAMES = SETTINGS.NAMES

const conv = (out_channels) => ({kind: "Conv2d", ...KINDS.Conv2d, out_channels})

/** The course's Net up to the logits. */
export const NET = [
  conv(32),
  {kind: "ReLU"},
  conv(64),
  {kind: "ReLU"},
  {kind: "MaxPool2d", ...KINDS.MaxPool2d},
  conv(128),
  {kind: "ReLU"},
  conv(256),
  {kind: "ReLU"},
  {kind: "MaxPool2d", ...KINDS.MaxPool2d},
  {kind: "Flatten"},
  {kind: "Linear", in_features: 4096, out_features: 50},
  {kind: "ReLU"},
  {kind: "Linear", in_features: 50, out_features: 10},
]

/** conv1, relu1, conv2 ...: each kind is numbered by itself. */
export function nameLayers(layers) {
  const seen = {}
  return layers.map(({kind}) => {
    seen[NAMES[kind]] = (seen[NAMES[kind]] ?? 0) + 1
    return `${NAMES[kind]}${seen[NAMES[kind]]}`
  })
}

const product = (numbers) => numbers.reduce((all, one) => all * one)

/** 593,200 */
export function withCommas(number) {
  return number.toLocaleString("en-US")
}

/** A layer's settings, with what arrives in the place of null. */
export function fillIn(layer, shape) {
  const known = {
    in_channels: shape.length === 3 ? shape[0] : 1,
    in_features: shape.at(-1),
    stride: layer.kernel_size,
  }
  return Object.fromEntries(
    Object.entries(layer).map(([name, value]) => [name, value === null ? known[name] : value]),
  )
}

/** An error as PyTorch raises it. */
const fault = (text, type = "RuntimeError") => ({fault: {type, text}})

/** Number of places where a kernel fits, in both directions; below 1 where it fits nowhere. */
function places(sizes, {kernel_size, stride, padding, dilation = 1}) {
  return sizes.map(
    (size) => Math.floor((size + 2 * padding - dilation * (kernel_size - 1) - 1) / stride) + 1,
  )
}

// For each kind: what comes out of it (shape, params, MACs as factors, and how far it looks:
// kernel, stride, dilation), or PyTorch's error.
const RULES = {
  Conv2d(shape, layer) {
    const {in_channels, out_channels, kernel_size, stride, padding, dilation} = layer
    if (shape.length !== 3)
      return fault(
        "Expected 3D (unbatched) or 4D (batched) input to conv2d, " +
          `but got input of size: [1, ${shape}]`,
      )
    const [channels, ...sizes] = shape
    const weight = [out_channels, in_channels, kernel_size, kernel_size]
    if (channels !== in_channels)
      return fault(
        `Given groups=1, weight of size [${weight.join(", ")}], ` +
          `expected input[${[1, ...shape].join(", ")}] to have ${in_channels} channels, ` +
          `but got ${channels} channels instead`,
      )
    const reach = dilation * (kernel_size - 1) + 1
    const padded = sizes.map((size) => size + 2 * padding)
    if (padded.some((size) => size < reach))
      return fault(
        `Calculated padded input size per channel: (${padded.join(" x ")}). ` +
          `Kernel size: (${reach} x ${reach}). ` +
          "Kernel size can't be greater than actual input size",
      )
    const out = [out_channels, ...places(sizes, layer)]
    return {
      shape: out,
      macs: [...out, in_channels, kernel_size, kernel_size],
      looks: [kernel_size, stride, dilation],
    }
  },

  pool(shape, layer) {
    const {kernel_size, stride, padding} = layer
    const [channels, ...sizes] = shape
    if (padding > Math.floor(kernel_size / 2))
      return fault(
        "pad should be at most half of effective kernel size, " +
          `but got pad=${padding}, kernel_size=${kernel_size} and dilation=1`,
      )
    const out = [channels, ...places(sizes, layer)]
    if (out.some((size) => size < 1))
      return fault(
        `Given input size: (${shape.join("x")}). Calculated output size: (${out.join("x")}). ` +
          "Output size is too small",
      )
    return {shape: out, looks: [kernel_size, stride, 1]}
  },

  MaxPool2d(shape, layer) {
    return shape.length === 3
      ? RULES.pool(shape, layer)
      : fault("non-empty 3D or 4D (batch mode) tensor expected for input")
  },

  AvgPool2d(shape, layer) {
    if (shape.length === 3) return RULES.pool(shape, layer)
    return fault(
      "Dimension out of range (expected to be in range of [-2, 1], but got -3)",
      "IndexError",
    )
  },

  ReLU(shape) {
    return {shape, looks: [1, 1, 1]}
  },

  Flatten(shape) {
    return {shape: [product(shape)], looks: shape.length === 3 ? "all" : [1, 1, 1]}
  },

  Linear(shape, {in_features, out_features}, words) {
    const arrive = shape.at(-1)
    const rows = product([1, ...shape.slice(0, -1)])
    if (arrive !== in_features)
      return fault(
        `${words}mat1 and mat2 shapes cannot be multiplied ` +
          `(${rows}x${arrive} and ${in_features}x${out_features})`,
      )
    const out = [...shape.slice(0, -1), out_features]
    return {shape: out, macs: [...out, in_features], looks: shape.length === 3 ? null : [1, 1, 1]}
  },
}

/** What a layer learns. */
function countParams({kind, in_channels, out_channels, kernel_size, in_features, out_features}) {
  if (kind === "Conv2d") return out_channels * (in_channels * kernel_size * kernel_size + 1)
  return kind === "Linear" ? out_features * (in_features + 1) : 0
}

/** What one number sees behind one more layer, in height and width; null where nobody knows. */
function lookThrough(fields, looks, sizes) {
  if (fields === null || looks === null) return null
  return fields.map(({size, jump}, direction) => {
    const [kernel, stride, dilation] =
      looks === "all" ? [sizes[direction], sizes[direction], 1] : looks
    return {size: size + dilation * (kernel - 1) * jump, jump: jump * stride}
  })
}

const oneOrTwo = ([a, b]) => (a === b ? a : [a, b])

/**
 * A row for each layer that runs, and, where one does not, its place and name, and the type and
 * text of the error. A null type: the explorer stopped.
 */
export function explore(layers, inputSize, words = "addmm: ") {
  const names = nameLayers(layers)
  const rows = []
  let shape = inputSize
  let fields = [
    {size: 1, jump: 1},
    {size: 1, jump: 1},
  ]
  let error = null
  for (const [index, layer] of layers.entries()) {
    const name = names[index]
    const settings = fillIn(layer, shape)
    const params = countParams(settings)
    const stop = (what, number) => ({
      index,
      name,
      type: null,
      text:
        `the explorer stops here: ${name} comes to ${withCommas(number)} ${what}, ` +
        `and ${withCommas(MOST[what])} is its limit`,
    })
    if (params > MOST.parameters) {
      error = stop("parameters", params)
      break
    }
    const made = RULES[layer.kind](shape, settings, words)
    if (made.fault) {
      error = {index, name, ...made.fault}
      break
    }
    const macs = made.macs ? product(made.macs) : 0
    fields = lookThrough(fields, made.looks, shape.slice(1))
    const isMap = made.shape.length === 3
    const pixels =
      fields === null
        ? 0
        : Math.max(...fields.map(({size, jump}) => (isMap ? Math.max(size, jump) : size)))
    if (product(made.shape) > MOST.numbers) error = stop("numbers", product(made.shape))
    else if (macs > MOST.MACs) error = stop("MACs", macs)
    else if (pixels > MOST.pixels) error = stop("pixels", pixels)
    if (error) break
    shape = made.shape
    rows.push({
      name,
      kind: layer.kind,
      outputShape: shape,
      params,
      macs,
      receptiveField: fields && oneOrTwo(fields.map(({size}) => size)),
      jump: fields && isMap ? oneOrTwo(fields.map(({jump}) => jump)) : null,
    })
  }
  const total = (what) => rows.reduce((sum, row) => sum + row[what], 0)
  return {rows, error, params: total("params"), macs: total("macs")}
}
