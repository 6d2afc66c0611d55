// What can be set in the trainer, for Python and for JavaScript: what comes after the = is plain
// JSON, and Python reads it too.
// start: what a run has if nobody says otherwise; least, most, whole: of numbers;
// names: of choices.
export const RULES = {
  "lr": {"start": 0.02, "least": 0.00001, "most": 10},
  "momentum": {"start": 0.9, "least": 0, "most": 0.99},
  "batch": {"start": 32, "least": 1, "most": 1000, "whole": true},
  "schedule": {
    "start": "StepLR",
    "names": ["constant", "StepLR", "ExponentialLR", "CosineAnnealingLR"]
  },
  "epochs": {"start": 10, "least": 1, "most": 50, "whole": true},
  "size": {"start": "8 + 16", "names": ["4 + 8", "8 + 16", "16 + 32"]},
  "digits": {"start": 6000, "least": 10, "most": 6000, "whole": true},
  "decay": {"start": 0, "least": 0, "most": 0.1},
  "seed": {"start": 0, "least": 0, "most": 999999, "whole": true},
  "bugs": {
    "start": [],
    "names": ["no zero_grad", "shuffled labels", "lr x 100", "sorted digits", "mean of means"]
  }
}
