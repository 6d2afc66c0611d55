"Processes that are killed in the middle, full disks, folders that can't be written: a few in each run, fifty with make kill."
