// What the explorer of shapes knows of layers, for Python and for JavaScript: what comes after the
// = is plain JSON, and Python reads it too.
// KINDS: every kind with the settings that a new layer gets; null is filled in with what arrives
// or, for a stride, with the window's size.
// RANGES: smallest and largest value of each setting, and of the input's three sizes.
// MOST: what one layer may come to before the explorer stops.
export const SETTINGS = {
  "KINDS": {
    "Conv2d": {
      "in_channels": null,
      "out_channels": 32,
      "kernel_size": 3,
      "stride": 1,
      "padding": 0,
      "dilation": 1
    },
    "ReLU": {},
    "MaxPool2d": {"kernel_size": 2, "stride": null, "padding": 0},
    "AvgPool2d": {"kernel_size": 2, "stride": null, "padding": 0},
    "Flatten": {},
    "Linear": {"in_features": null, "out_features": 50}
  },
  "RANGES": {
    "in_channels": [1, 4096],
    "out_channels": [1, 4096],
    "kernel_size": [1, 255],
    "stride": [1, 255],
    "padding": [0, 255],
    "dilation": [1, 255],
    "in_features": [1, 10000000],
    "out_features": [1, 100000],
    "channels": [1, 64],
    "height": [1, 1024],
    "width": [1, 1024]
  },
  "MOST_LAYERS": 60,
  "MOST": {
    "parameters": 250000000,
    "numbers": 250000000,
    "MACs": 1000000000000,
    "pixels": 1000000000
  },
  "NAMES": {
    "Conv2d": "conv",
    "ReLU": "relu",
    "MaxPool2d": "pool",
    "AvgPool2d": "pool",
    "Flatten": "flatten",
    "Linear": "fc"
  }
}
