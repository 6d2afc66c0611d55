"Fuzzing: what a stranger's file, name or setting can do to each of our readers."
